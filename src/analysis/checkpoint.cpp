#include "analysis/checkpoint.hpp"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <system_error>
#include <vector>

#include "cellmill/anndata/fingerprint.hpp"
#include "cellmill/comm/pulse.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/storage/output.hpp"

namespace cellmill {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* run_file = "run.json";
constexpr const char* passes[] = {"counts", "log", "gram", "projection"};

/// Nothing if it isn't there. \throws Error(input) if it can't be understood
std::optional<json> read_json(const fs::path& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  json document = json::parse(file, nullptr, false);
  if (!document.is_object()) {
    throw input_error(path.string() + ": the checkpoint is damaged: this is no JSON");
  }
  return document;
}

std::string new_id() {
  std::random_device source;
  return fmt::format("{:08x}{:08x}", source(), source());
}

/// Removes the pass's files but those that begin with `kept`.
void remove_files(const fs::path& folder, const std::string& pass, const std::string& kept) {
  std::vector<fs::path> gone;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(pass + ".") || name == pass + ".json") continue;
    if (kept.empty() || !name.starts_with(kept)) {
      gone.push_back(entry.path());
    }
  }
  for (const fs::path& path : gone) fs::remove(path, error);
}

}  // namespace

Checkpoint::Checkpoint(const RunOptions& options, const std::string& fingerprint,
                       Communicator& comm)
    : folder_(options.checkpoint), seconds_(options.checkpoint_seconds) {
  with_pulse(comm, [&](PulseControl&) {
    if (comm.rank() == 0) begin(options, fingerprint);
  });
  broadcast_string(comm, run_, 0);
  std::string resumed = resumed_ ? "yes" : "no";
  broadcast_string(comm, resumed, 0);
  resumed_ = resumed == "yes";
  with_pulse(comm, [&](PulseControl&) {
    const auto found = read_json(folder_ / run_file);
    if (!found || found->value("run", "") != run_) {
      throw io_error(fmt::format(
          "--checkpoint {}: this rank does not see what rank 0 wrote there; the folder must be on "
          "a file system that all nodes share",
          folder_.string()));
    }
  });
}

void Checkpoint::begin(const RunOptions& options, const std::string& fingerprint) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) {
    throw io_error(fmt::format("--checkpoint {}: {}", folder_.string(), error.message()));
  }
  const auto found = read_json(folder_ / run_file);
  if (found && options.resume == Resume::yes) {
    const std::string difference =
        fingerprint_difference(found->value("fingerprint", ""), fingerprint);
    if (!difference.empty()) {
      throw input_error(fmt::format(
          "--resume: the run that left {} was made of something else: {}; give another folder, or "
          "--overwrite without --resume to begin anew",
          folder_.string(), difference));
    }
    run_ = found->value("run", "");
    resumed_ = true;
    return;
  }
  if (found && options.if_exists == IfExists::refuse) {
    throw input_error(fmt::format(
        "--checkpoint {}: an unfinished run is there; --resume goes on with it, --overwrite begins "
        "anew",
        folder_.string()));
  }
  remove();
  run_ = new_id();
  write_file_atomically(folder_ / run_file,
                        json_line({{"run", run_}, {"fingerprint", fingerprint}}) + "\n");
}

std::optional<Checkpoint::Attempt> Checkpoint::attempt(const std::string& pass) const {
  const auto found = read_json(folder_ / (pass + ".json"));
  if (!found || found->value("run", "") != run_) return std::nullopt;
  return Attempt{found->value("attempt", 0), found->value("ranks", 0)};
}

fs::path Checkpoint::file(const std::string& pass, int attempt, int rank) const {
  return folder_ / fmt::format("{}.{}.{}", pass, attempt, rank);
}

void Checkpoint::set_attempt(const std::string& pass, const Attempt& attempt) const {
  write_file_atomically(
      folder_ / (pass + ".json"),
      json_line({{"run", run_}, {"attempt", attempt.number}, {"ranks", attempt.ranks}}) + "\n");
  remove_files(folder_, pass, fmt::format("{}.{}.", pass, attempt.number));
}

void Checkpoint::forget(const std::string& pass) const {
  std::error_code ignored;
  fs::remove(folder_ / (pass + ".json"), ignored);
  remove_files(folder_, pass, "");
}

void Checkpoint::remove() const {
  std::error_code ignored;
  fs::remove(folder_ / run_file, ignored);
  for (const char* pass : passes) forget(pass);
}

}  // namespace cellmill
