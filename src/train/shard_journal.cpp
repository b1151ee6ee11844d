#include "train/shard_journal.hpp"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "cellmill/anndata/fingerprint.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

namespace fs = std::filesystem;
using nlohmann::json;

json shard_options_json(const ShardOptions& options) {
  json json = {{"chunk_rows", options.chunk_rows},
               {"shard_rows", options.shard_rows},
               {"shuffle", options.order == RowOrder::shuffled},
               {"matrix", options.matrix},
               {"join", options.join == GeneJoin::inner ? "inner" : "outer"},
               {"label", options.label},
               {"index_unique", options.index_unique},
               {"codec", store_codec_name(options.codec)}};
  if (options.order == RowOrder::shuffled) json["seed"] = options.seed;
  if (options.filter) json["filter"] = *options.filter;
  if (options.obs) json["obs"] = *options.obs;
  if (options.gene_key) json["gene_key"] = *options.gene_key;
  if (options.genes) {
    // Long, and a change is all that matters.
    std::size_t hash = 0;
    for (const std::string& gene : *options.genes) {
      hash = hash * 1'000'003 + std::hash<std::string>{}(gene);
    }
    json["genes"] = fmt::format("{} of them, {:016x}", options.genes->size(), hash);
  }
  return json;
}

namespace {

json layout_json(const StoreLayout& layout) {
  return {{"chunk_elements", layout.chunk_elements},
          {"shard_chunks", layout.shard_chunks},
          {"index_dtype", dtype_name(layout.index_dtype)}};
}

json progress_json(const StoreProgress& progress) {
  return {{"shards", progress.shards},
          {"rows", progress.rows},
          {"elements", progress.elements},
          {"value_dtype", dtype_name(progress.value_dtype)}};
}

ShardJournal::Entry parse_entry(const json& document) {
  ShardJournal::Entry entry;
  document.at("fingerprint").get_to(entry.fingerprint);
  const json& layout = document.at("layout");
  layout.at("chunk_elements").get_to(entry.layout.chunk_elements);
  layout.at("shard_chunks").get_to(entry.layout.shard_chunks);
  entry.layout.index_dtype = parse_dtype(layout.at("index_dtype").get<std::string>());
  const json& progress = document.at("progress");
  progress.at("shards").get_to(entry.progress.shards);
  progress.at("rows").get_to(entry.progress.rows);
  progress.at("elements").get_to(entry.progress.elements);
  entry.progress.value_dtype = parse_dtype(progress.at("value_dtype").get<std::string>());
  return entry;
}

}  // namespace

std::string shard_fingerprint(const ShardOptions& options, const InputRows& rows) {
  json fingerprint = shard_options_json(options);
  for (std::int32_t source = 0; source < rows.data().n_sources(); ++source) {
    add_input(fingerprint, rows.data().source(source));
  }
  return json_line(fingerprint);
}

ShardJournal::ShardJournal(const fs::path& store) : path_(store / ".shard-journal.json") {}

std::optional<ShardJournal::Entry> ShardJournal::read() const {
  std::ifstream file(path_);
  if (!file) return std::nullopt;
  try {
    return parse_entry(json::parse(file));
  } catch (const json::exception& error) {
    throw input_error(fmt::format("{}: {}", path_.string(), error.what()));
  }
}

void ShardJournal::write(const Entry& entry) const {
  const json document = {{"fingerprint", entry.fingerprint},
                         {"layout", layout_json(entry.layout)},
                         {"progress", progress_json(entry.progress)}};
  fs::path beside = path_;
  beside += ".new";
  std::ofstream file(beside);
  file << json_line(document) << '\n';
  file.close();
  std::error_code error;
  if (file) fs::rename(beside, path_, error);
  if (!file || error) throw io_error(path_.string() + ": can't write the journal");
}

void ShardJournal::remove() const {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

}  // namespace cellmill
