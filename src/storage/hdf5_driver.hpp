#pragma once

#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

namespace cellmill::hdf5 {

/// Where bytes lie in a file.
struct Extent {
  std::int64_t offset = 0;
  std::int64_t size = 0;
};

/// A file opened by our own driver, for two reasons.
/// - Libhdf5 1.10 finds the address of a chunk only by walking over all chunks (H5Dget_chunk_info,
///   by index and by coordinate alike), but reads a chunk after one descent of the index. So
///   `locate` has it read the chunk, and the driver, instead of reading, notes where it would have.
/// - A file that libhdf5 fails to write it can't close either, and crashes on it at exit. So the
///   driver keeps the first failure to itself, swallows what is written after it, and
///   `check_written` throws it.
class Driver;

/// A file access property list that opens files with the driver. Call under the Lock.
[[nodiscard]] hid_t make_access();

/// The driver of an open file. Call under the Lock; good while the file is open.
[[nodiscard]] Driver* driver_of(hid_t file);

/// The descriptor to pread from, in any thread, while the file is open.
[[nodiscard]] int descriptor(const Driver& driver);
[[nodiscard]] std::int64_t file_size(const Driver& driver);

/// \throws Error(io) with the system's reason if something could not be written
void check_written(const Driver& driver);

/// Takes the disk space of all that was allocated in the file, so that a disk which can't hold it
/// is known before hours are spent on filling it. Where the file system can't reserve, nothing
/// happens. Call under the Lock after a flush. \throws Error(io) if there is not enough space
void reserve_space(Driver& driver);

/// Where the chunk of `dataset` lies that begins at `corner`, and which of its filters were
/// skipped. Empty if libhdf5 failed. Call under the Lock, for chunks that were written.
struct ChunkPlace {
  Extent extent;
  std::uint32_t filter_mask = 0;
};
[[nodiscard]] std::optional<ChunkPlace> locate(Driver& driver, hid_t dataset,
                                               const hsize_t* corner);

/// Reads exactly these bytes. \throws Error(io) with the system's reason, or that the file ends
void read_fully(int descriptor, Extent extent, void* to);

}  // namespace cellmill::hdf5
