#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "cellmill/storage/group.hpp"
#include "storage/codecs.hpp"
#include "storage/zarr_metadata.hpp"

namespace cellmill {

/// Writes chunks, or whole shards, as files of their own; keeps nothing between calls, so any
/// process may write any unit.
class ZarrWriter : public ArrayWriter {
 public:
  /// \throws Error(input) for layouts that are only read (big-endian, transposed, fixed-length
  /// strings)
  ZarrWriter(std::filesystem::path folder, std::string location, ZarrMetadata metadata);

  [[nodiscard]] std::int64_t unit_rows() const override;
  void write_rows(std::int64_t first_row, std::span<const std::byte> rows) override;
  void write_packed(std::int64_t first_row, std::span<const RawVector<std::byte>> chunks) override;
  void write_strings(std::int64_t first_row, const Strings& rows) override;

 private:
  /// The encoded chunk whose first element is at `origin`.
  using EncodeChunk = std::function<Bytes(std::span<const std::int64_t> origin)>;

  void check_rows(std::int64_t first_row, std::int64_t count) const;
  void write_units(std::int64_t first_row, std::int64_t count, const EncodeChunk& encode) const;
  [[nodiscard]] Bytes encode_shard(std::span<const std::int64_t> origin,
                                   const EncodeChunk& encode) const;
  /// The chunk at `origin`, encoded, from `rows` that begin at `first_row`; what lies beyond
  /// the array's edge is filled.
  [[nodiscard]] Bytes encode_elements(std::span<const std::int64_t> origin, std::int64_t first_row,
                                      std::span<const std::byte> rows) const;

  std::filesystem::path folder_;
  std::string location_;
  ZarrMetadata metadata_;
  std::vector<std::int64_t> unit_shape_;  ///< a chunk's, or a shard's
};

}  // namespace cellmill
