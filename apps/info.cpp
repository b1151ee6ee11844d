#include "cellmill/anndata/info.hpp"

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/anndata/paths.hpp"
#include "cellmill/anndata/store.hpp"
#include "command.hpp"

namespace cellmill {
namespace {

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
    app.add_option("paths", paths_, "h5ad files, Zarr stores, globs, @lists, folders of plates")
        ->option_text("PATH...")
        ->required();
    app.add_flag_callback(
        "--tree", [this] { detail_ = Detail::tree; }, "Also every group and array");
    app.footer(
        "Examples:\n"
        "  cellmill info plate1.h5ad\n"
        "  cellmill info plates --json | jq '.files[].n_obs'\n"
        "  cellmill info out.zarr --tree\n");
  }

  void run(const Session& session) override {
    nlohmann::ordered_json files = nlohmann::ordered_json::array();
    for (const std::filesystem::path& path : expand_paths(paths_)) {
      nlohmann::ordered_json description = describe_anndata(path);
      if (detail_ == Detail::tree) description["tree"] = describe_tree(*open_anndata_store(path));
      if (session.options.output == Output::text) {
        std::cout << info_text(description);
        if (detail_ == Detail::tree) std::cout << tree_text(description["tree"]);
      } else {
        files.push_back(std::move(description));
      }
    }
    if (session.options.output == Output::json) {
      std::cout << nlohmann::ordered_json{{"files", std::move(files)}}.dump() << '\n';
    }
  }

 private:
  enum class Detail { summary, tree };
  std::vector<std::string> paths_;
  Detail detail_ = Detail::summary;
};

}  // namespace

std::unique_ptr<Command> make_info_command() { return std::make_unique<InfoCommand>(); }

}  // namespace cellmill
