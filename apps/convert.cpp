#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cellmill/anndata/copy.hpp"
#include "cellmill/anndata/store.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/progress.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/output.hpp"
#include "command.hpp"

namespace cellmill {
namespace {

class ConvertCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "convert"; }
  [[nodiscard]] std::string summary() const override {
    return "Write a whole AnnData anew, as h5ad or Zarr";
  }
  [[nodiscard]] Launch launch() const override { return Launch::alone; }

  void add_options(CLI::App& app) override {
    app.description(
        "Copies every slot, block by block: what anndata reads from the output is what it reads "
        "from the input.\nWhat old versions of anndata wrote comes out as new ones write it.");
    app.add_option("input", input_, "An h5ad file or Zarr store")->option_text("INPUT")->required();
    app.add_option("-o,--output", output_, "What to write: a .zarr or .h5ad path")
        ->type_name("OUT")
        ->required();
    app.add_option("--zarr-format", zarr_format_, "2 or 3; anndata before 0.12 only reads 2 [3]")
        ->check(CLI::IsMember({2, 3}))
        ->option_text("2|3");
    app.add_option("--codec", layout_.codec, "zstd, lz4, gzip or none; h5ad: gzip or none [zstd]")
        ->check(CLI::IsMember({"zstd", "lz4", "gzip", "none"}))
        ->option_text("NAME");
    app.add_option("--level", layout_.level, "The codec's level [its own default]")
        ->check(CLI::Range(0, 22))
        ->option_text("N");
    add_parsed(app, "--chunk-size", layout_.chunk_bytes, parse_bytes,
               "Of arrays, decoded [256K; 4M in Zarr 2]")
        ->type_name("SIZE");
    add_parsed(app, "--shard-size", shard_bytes_, parse_bytes,
               "Of shards in Zarr 3, decoded; 0: no shards [64M, less with little memory]")
        ->type_name("SIZE");
    app.add_flag_callback(
        "--overwrite", [this] { if_exists_ = IfExists::overwrite; },
        "Replace an output that exists, once the new one is whole");
    app.footer(
        "Examples:\n"
        "  cellmill convert plate1.h5ad -o plate1.zarr\n"
        "  cellmill convert old.h5ad -o new.h5ad --codec none\n");
  }

  void run(const Session& session) override {
    const std::string extension = output_.extension().string();
    if (extension != ".zarr" && extension != ".h5ad") {
      throw usage_error(output_.string() + ": the output's name must end in .zarr or .h5ad");
    }
    const auto from = open_anndata_store(input_);
    AtomicOutput output(output_, if_exists_);
    {
      const auto to = extension == ".h5ad"
                          ? open_hdf5(output.partial(), OpenMode::create)
                          : open_zarr(output.partial(), OpenMode::create,
                                      zarr_format_ == 2 ? StoreFormat::zarr2 : StoreFormat::zarr3);
      const std::int64_t memory =
          session.options.memory > 0 ? session.options.memory : available_memory() / 10 * 7;
      layout_.memory = std::min(memory / 2, buffer_limit(session.options.memory));
      // A shard is held whole, decoded and encoded.
      layout_.shard_bytes =
          shard_bytes_.value_or(std::min(CopyLayout().shard_bytes, layout_.memory / 4));
      std::int64_t copied = 0;
      copy_group(*from, *to, layout_, session.arena, [&](std::int64_t bytes) { copied += bytes; });
      to->flush();
      bytes_ = copied;
    }
    if (extension == ".zarr") consolidate_zarr(output.partial());
    output.commit();
    if (session.options.output == Output::json) {
      std::cout << nlohmann::json{{"output", output_.string()}, {"bytes", bytes_}}.dump() << '\n';
    } else {
      std::cout << "written: " << output_.string() << " (" << human_bytes(bytes_) << " decoded)\n";
    }
  }

 private:
  std::filesystem::path input_;
  std::filesystem::path output_;
  int zarr_format_ = 3;
  CopyLayout layout_;
  std::optional<std::int64_t> shard_bytes_;
  IfExists if_exists_ = IfExists::refuse;
  std::int64_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_convert_command() { return std::make_unique<ConvertCommand>(); }

}  // namespace cellmill
