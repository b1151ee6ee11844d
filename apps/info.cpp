#include "cellmill/anndata/info.hpp"

#include <filesystem>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/anndata/paths.hpp"
#include "cellmill/anndata/store.hpp"
#include "cellmill/core/text.hpp"
#include "command.hpp"

namespace cellmill {
namespace {

/// `10:20`, the cells 10 to 19.
Range parse_rows(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) {
    throw usage_error("'" + text + "' found, expected BEGIN:END, as 0:10");
  }
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const std::int64_t begin = parse_whole(text.substr(0, colon), 0, most);
  return {begin, parse_whole(text.substr(colon + 1), begin, most)};
}

class InfoCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "info"; }
  [[nodiscard]] std::string summary() const override {
    return "Say what an AnnData holds, without loading it";
  }
  [[nodiscard]] Launch launch() const override { return Launch::anyhow; }

  void add_options(CLI::App& app) override {
    app.description(
        "Shape, non-zeros, types, encodings, chunks and codecs, columns with kinds and levels, "
        "keys, repeated names,\nand the bytes on disk and once loaded.");
    app.add_option(
           "paths", paths_,
           "h5ad files, Zarr stores, 10x files and folders, globs, @lists, folders of plates")
        ->option_text("PATH...")
        ->required();
    app.add_flag_callback(
        "--tree", [this] { detail_ = Detail::tree; }, "Also every group and array");
    add_parsed(app, "--rows", rows_, parse_rows,
               "Also the values of these cells: names, columns, and as JSON the genes' and X")
        ->type_name("BEGIN:END");
    app.footer(
        "Examples:\n"
        "  cellmill info plate1.h5ad\n"
        "  cellmill info plates --json | jq '.files[].n_obs'\n"
        "  cellmill info out.zarr --tree\n"
        "  cellmill info plate1.h5ad --rows 0:10 --json | jq '.files[0].rows.X'\n"
        "  cellmill info filtered_feature_bc_matrix.h5 hg19_and_mm10.h5::mm10\n");
  }

  void run(const Session& session) override {
    nlohmann::ordered_json files = nlohmann::ordered_json::array();
    for (const std::filesystem::path& path : expand_paths(paths_)) {
      nlohmann::ordered_json description = describe_anndata(path);
      if (detail_ == Detail::tree) description["tree"] = describe_tree(*open_anndata_store(path));
      if (rows_) description["rows"] = describe_rows(path, *rows_);
      if (session.options.output == Output::text) {
        std::cout << printable(info_text(description));
        if (rows_) std::cout << printable(rows_text(description["rows"]));
        if (detail_ == Detail::tree) std::cout << printable(tree_text(description["tree"]));
      } else {
        files.push_back(std::move(description));
      }
    }
    if (session.options.output == Output::json) {
      std::cout << nlohmann::ordered_json{{"files", std::move(files)}}.dump(
                       -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
                << '\n';
    }
  }

 private:
  enum class Detail { summary, tree };
  std::vector<std::string> paths_;
  Detail detail_ = Detail::summary;
  std::optional<Range> rows_;
};

}  // namespace

std::unique_ptr<Command> make_info_command() { return std::make_unique<InfoCommand>(); }

}  // namespace cellmill
