#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/line_reader.hpp"
#include "cellmill/train/shard.hpp"

namespace cellmill {

std::string store_codec_name(StoreCodec codec) {
  return codec == StoreCodec::fast ? "fast" : "portable";
}

std::vector<std::string> read_gene_list(const std::filesystem::path& path) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  std::vector<std::string> names;
  LineReader lines(path);
  for (auto line = lines.next(); line; line = lines.next()) {
    if (names.empty() && line->starts_with(byte_order_mark)) {
      line->remove_prefix(byte_order_mark.size());
    }
    std::string_view name = line->substr(0, line->find('\t'));
    while (name.ends_with(' ')) name.remove_suffix(1);
    while (name.starts_with(' ')) name.remove_prefix(1);
    if (!name.empty()) names.emplace_back(name);
  }
  if (names.empty()) throw input_error(path.string() + ": there are no names of genes in it");
  return names;
}

std::string summary_text(const ShardSummary& summary) {
  std::string text = fmt::format("written: {}\n", summary.output.string());
  text += fmt::format("cells: {} of {}, genes: {}\n", grouped(summary.n_cells),
                      grouped(summary.cells_read), grouped(summary.n_genes));
  if (summary.bytes == 0) return text;
  text += fmt::format("values: {} {}, columns {}; chunks of {}, {} {}\n", grouped(summary.nonzeros),
                      summary.value_dtype, summary.index_dtype, grouped(summary.chunk_elements),
                      grouped(summary.shards), summary.shards == 1 ? "shard" : "shards");
  text += fmt::format("X: {}, {} bytes a cell\n{}\n", human_bytes(summary.bytes),
                      grouped(summary.bytes / std::max<std::int64_t>(summary.n_cells, 1)),
                      human_seconds(summary.seconds));
  return text;
}

nlohmann::json summary_json(const ShardSummary& summary) {
  return {{"output", summary.output.string()},
          {"cells_read", summary.cells_read},
          {"cells", summary.n_cells},
          {"genes", summary.n_genes},
          {"nonzeros", summary.nonzeros},
          {"value_dtype", summary.value_dtype},
          {"index_dtype", summary.index_dtype},
          {"chunk_elements", summary.chunk_elements},
          {"shards", summary.shards},
          {"resumed_cells", summary.resumed_cells},
          {"bytes", summary.bytes},
          {"peak_memory", summary.peak_memory},
          {"seconds", summary.seconds}};
}

}  // namespace cellmill
