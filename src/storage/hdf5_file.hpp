#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "cellmill/storage/group.hpp"
#include "storage/hdf5_driver.hpp"
#include "storage/hdf5_library.hpp"

namespace cellmill::hdf5 {

/// An open file; shared by the groups, arrays and writers in it.
class File {
 public:
  /// \throws Error(not_found) if it isn't there, Error(input) if it is no HDF5 file or truncated
  File(const std::filesystem::path& path, OpenMode mode);

  [[nodiscard]] hid_t id() const { return id_.get(); }
  [[nodiscard]] const std::string& name() const { return name_; }  ///< for messages
  /// `plate1.h5ad: X/data`
  [[nodiscard]] std::string location_of(const std::string& path) const;
  /// How to locate and read raw bytes; null in a file open for writing, whose bytes may not be on
  /// disk yet.
  [[nodiscard]] Driver* reader() const { return mode_ == OpenMode::read ? driver_ : nullptr; }
  /// To be called after whatever writes: libhdf5 itself never notices that a write failed.
  /// \throws Error(io) with the system's reason
  void check_written() const;
  /// Everything is handed to the system, and has its space there. \throws Error(io)
  void flush();

 private:
  std::string name_;
  Handle id_;
  OpenMode mode_;
  Driver* driver_ = nullptr;
};

/// Properties of new links: the groups on the way to them are made, names are UTF-8. Call under the
/// Lock.
[[nodiscard]] Handle make_links();

}  // namespace cellmill::hdf5
