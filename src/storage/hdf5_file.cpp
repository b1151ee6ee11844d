#include "storage/hdf5_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "cellmill/core/text.hpp"
#include "storage/hdf5_plugins.hpp"

namespace cellmill::hdf5 {
namespace fs = std::filesystem;

namespace {

/// The library's message in words that say what to do about the file.
Error open_error(const fs::path& path, const std::string& message) {
  long long found = 0;
  long long base = 0;
  long long expected = 0;
  // NOLINTNEXTLINE(cert-err34-c): a message that reads otherwise is shown as it is
  if (std::sscanf(message.c_str(),
                  "truncated file: eof = %lld, sblock->base_addr = %lld, stored_%*[a-z] = %lld",
                  &found, &base, &expected) == 3) {
    return input_error(fmt::format("{}: the file is truncated: it has {} bytes, expected {}",
                                   path.string(), grouped(found), grouped(base + expected)));
  }
  if (message.find("signature not found") != std::string::npos) {
    return input_error(path.string() + ": not an HDF5 file");
  }
  return io_error(fmt::format("{}: can't be opened as HDF5: {}", path.string(), message));
}

void check_readable(const fs::path& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (status.type() == fs::file_type::not_found) {
    throw not_found_error(path.string() + ": no such file");
  }
  if (failed) throw io_error(fmt::format("{}: {}", path.string(), failed.message()));
  if (fs::is_directory(status)) throw input_error(path.string() + ": a folder, expected a file");
  if (std::FILE* file = std::fopen(path.c_str(), "rb"); file != nullptr) {
    std::fclose(file);
  } else {
    throw io_error(fmt::format("{}: {}", path.string(), std::generic_category().message(errno)));
  }
}

/// Object headers of HDF5 1.8, which every h5py reads, may hold attributes above 64 KB (the
/// column-order of thousands of columns); older ones may not, newer ones gain nothing here.
hid_t make_write_access() {
  const hid_t access = make_access();
  if (access >= 0) H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
  return access;
}

hid_t open_file(const fs::path& path, OpenMode mode, hid_t access) {
  switch (mode) {
    case OpenMode::read:
      return H5Fopen(path.c_str(), H5F_ACC_RDONLY, access);
    case OpenMode::update:
      return H5Fopen(path.c_str(), H5F_ACC_RDWR, access);
    case OpenMode::create:
      return H5Fcreate(path.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, access);
  }
  return -1;
}

}  // namespace

File::File(const fs::path& path, OpenMode mode) : name_(path.filename().string()), mode_(mode) {
  if (mode != OpenMode::create) check_readable(path);
  if (mode == OpenMode::create && fs::exists(path)) {
    throw input_error(path.string() + ": exists already");
  }
  const Lock lock;
  register_filters();
  const Handle access = checked(mode == OpenMode::read ? make_access() : make_write_access(),
                                H5Pclose, Error::Kind::io, path.string());
  id_ = Handle(open_file(path, mode, access.get()), H5Fclose);
  if (!id_.valid()) throw open_error(path, last_message());
  driver_ = driver_of(id_.get());
  check_written();
}

void File::check_written() const {
  with_context(name_, [&] { hdf5::check_written(*driver_); });
}

void File::flush() {
  const Lock lock;
  check(H5Fflush(id_.get(), H5F_SCOPE_LOCAL), Error::Kind::io, name_);
  with_context(name_, [&] { reserve_space(*driver_); });
}

std::string File::location_of(const std::string& path) const {
  return path.empty() ? name_ : name_ + ": " + path;
}

Handle make_links() {
  Handle links = checked(H5Pcreate(H5P_LINK_CREATE), H5Pclose, Error::Kind::io, "a link");
  H5Pset_create_intermediate_group(links.get(), 1);
  H5Pset_char_encoding(links.get(), H5T_CSET_UTF8);
  return links;
}

}  // namespace cellmill::hdf5
