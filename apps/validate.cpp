#include "cellmill/anndata/validate.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/anndata/paths.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/progress.hpp"
#include "command.hpp"

namespace cellmill {
namespace {

class ValidateCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "validate"; }
  [[nodiscard]] std::string summary() const override {
    return "Read everything in an AnnData and list what is wrong";
  }
  [[nodiscard]] Launch launch() const override { return Launch::anyhow; }

  void add_options(CLI::App& app) override {
    app.description(
        "Every chunk and checksum, offsets, order and range of indices, columns, codes and shapes. "
        "Each file is read\nin a process of its own, so that one that crashes or hangs the HDF5 "
        "library is reported like any other.\nExit status 1 if there is any fault.");
    app.add_option("paths", paths_, "h5ad files, Zarr stores, globs, @lists, folders of plates")
        ->option_text("PATH...")
        ->required();
    app.add_option("--in-child", skip_until_)->group("");  // how it starts itself
    app.footer(
        "Examples:\n"
        "  cellmill validate plate1.h5ad\n"
        "  cellmill validate plates --json | jq '.files[].faults[]'\n");
  }

  void run(const Session& session) override {
    if (skip_until_) {
      ValidateOptions options;
      options.skip_until = *skip_until_;
      // A chunk is held as it is stored and decoded, by each thread.
      options.most_chunk_bytes =
          std::min(options.most_chunk_bytes,
                   session.options.memory / (std::int64_t{2} * session.arena.threads()));
      validate_as_child(paths_.at(0), options, session.arena);
      return;
    }
    const bool json = session.options.output == Output::json;
    nlohmann::ordered_json files = nlohmann::ordered_json::array();
    std::int64_t all = 0;
    for (const std::filesystem::path& path : expand_paths(paths_)) {
      ChildValidation validation;
      validation.path = path;
      validation.threads = session.arena.threads();
      validation.memory =
          session.options.memory > 0 ? session.options.memory : available_memory() / 10 * 7;
      nlohmann::ordered_json faults = nlohmann::ordered_json::array();
      ValidateEvents events;
      events.on_fault = [&](const std::string& fault) {
        if (!json) std::cout << fault << '\n';
        faults.push_back(fault);
      };
      const std::int64_t found = validate_in_child(validation, events);
      if (!json && found == 0) std::cout << path.string() << ": no fault\n";
      all += found;
      files.push_back({{"path", path.string()}, {"faults", std::move(faults)}});
    }
    if (json) {
      std::cout << nlohmann::ordered_json{{"files", std::move(files)}}.dump() << '\n';
    }
    if (all > 0) {
      throw ReportedError(Error::Kind::input,
                          std::to_string(all) + (all == 1 ? " fault" : " faults"));
    }
  }

 private:
  std::vector<std::string> paths_;
  std::optional<std::string> skip_until_;
};

}  // namespace

std::unique_ptr<Command> make_validate_command() { return std::make_unique<ValidateCommand>(); }

}  // namespace cellmill
