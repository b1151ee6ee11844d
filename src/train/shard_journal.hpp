#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "cellmill/train/shard.hpp"
#include "train/input_rows.hpp"
#include "train/matrix_writer.hpp"

namespace cellmill {

/// The options that shape a store.
[[nodiscard]] nlohmann::json shard_options_json(const ShardOptions& options);

/// Everything that decides what a store holds (anndata/fingerprint.hpp).
[[nodiscard]] std::string shard_fingerprint(const ShardOptions& options, const InputRows& rows);

/// What an interrupted run needs to know to go on, in the partial store's folder.
class ShardJournal {
 public:
  struct Entry {
    std::string fingerprint;  ///< JSON, on one line
    StoreLayout layout;
    StoreProgress progress;
  };

  explicit ShardJournal(const std::filesystem::path& store);

  /// Nothing if there is none. \throws Error(input) if it can't be understood
  [[nodiscard]] std::optional<Entry> read() const;
  /// Replaces it, whole or not at all. \throws Error(io)
  void write(const Entry& entry) const;
  void remove() const;

 private:
  std::filesystem::path path_;
};

}  // namespace cellmill
