#include "storage/hdf5_driver.hpp"

#include <H5FDpublic.h>
#include <H5version.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <system_error>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill::hdf5 {

/// Libhdf5 knows it as the H5FD_t that is its base.
class ReadDriver : public H5FD_t {
 public:
  ReadDriver(int opened, const struct stat& status)
      : H5FD_t{}, fd(opened), size(status.st_size), device(status.st_dev), inode(status.st_ino) {}
  ReadDriver(const ReadDriver&) = delete;
  ReadDriver& operator=(const ReadDriver&) = delete;
  ~ReadDriver() { ::close(fd); }

  int fd;
  std::int64_t size;
  dev_t device;
  ino_t inode;
  haddr_t end_of_allocation = 0;
  Extent* note = nullptr;  ///< while set, raw data is located and not read
};

namespace {

ReadDriver& self(H5FD_t* file) { return *static_cast<ReadDriver*>(file); }
const ReadDriver& self(const H5FD_t* file) { return *static_cast<const ReadDriver*>(file); }

H5FD_t* open_file(const char* name, unsigned flags, hid_t /*access*/, haddr_t /*max_address*/) {
  if ((flags & H5F_ACC_RDWR) != 0) return nullptr;
  const int fd = ::open(name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  struct stat status {};
  if (::fstat(fd, &status) != 0) {
    ::close(fd);
    return nullptr;
  }
  return std::make_unique<ReadDriver>(fd, status).release();
}

herr_t close_file(H5FD_t* file) {
  const std::unique_ptr<ReadDriver> closing(&self(file));
  return 0;
}

int compare(const H5FD_t* a, const H5FD_t* b) {
  const auto key = [](const H5FD_t* file) {
    return std::pair(self(file).device, self(file).inode);
  };
  return key(a) < key(b) ? -1 : (key(b) < key(a) ? 1 : 0);
}

herr_t query(const H5FD_t* /*file*/, unsigned long* flags) {
  *flags = H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE;
  return 0;
}

haddr_t end_of_allocation(const H5FD_t* file, H5FD_mem_t /*type*/) {
  return self(file).end_of_allocation;
}

herr_t set_end_of_allocation(H5FD_t* file, H5FD_mem_t /*type*/, haddr_t address) {
  self(file).end_of_allocation = address;
  return 0;
}

haddr_t end_of_file(const H5FD_t* file, H5FD_mem_t /*type*/) {
  return static_cast<haddr_t>(self(file).size);
}

herr_t get_handle(H5FD_t* file, hid_t /*access*/, void** handle) {
  *handle = &self(file);
  return 0;
}

herr_t read(H5FD_t* file, H5FD_mem_t type, hid_t /*transfer*/, haddr_t address, std::size_t size,
            void* to) {
  const Extent extent{static_cast<std::int64_t>(address), static_cast<std::int64_t>(size)};
  ReadDriver& driver = self(file);
  if (type == H5FD_MEM_DRAW && driver.note != nullptr) {
    *driver.note = extent;
    return 0;
  }
  // Space that was allocated but never written may lie behind the file's end: it reads as zeros.
  const std::int64_t there = std::clamp<std::int64_t>(driver.size - extent.offset, 0, extent.size);
  std::memset(static_cast<std::byte*>(to) + there, 0,
              static_cast<std::size_t>(extent.size - there));
  try {
    read_fully(driver.fd, {extent.offset, there}, to);
    return 0;
  } catch (const Error&) {  // an exception must not pass through C
    return -1;
  }
}

herr_t write(H5FD_t* /*file*/, H5FD_mem_t /*type*/, hid_t /*transfer*/, haddr_t /*address*/,
             std::size_t /*size*/, const void* /*from*/) {
  return -1;
}

hid_t driver_id() {
  static const hid_t id = [] {
    static H5FD_class_t definition{};
#if H5_VERSION_GE(1, 13, 0)
    definition.version = H5FD_CLASS_VERSION;
    definition.value = static_cast<H5FD_class_value_t>(600);  // from the range for applications
#endif
    definition.name = "cellmill_read";
    definition.maxaddr = static_cast<haddr_t>(std::numeric_limits<std::int64_t>::max());
    definition.fc_degree = H5F_CLOSE_WEAK;
    definition.open = open_file;
    definition.close = close_file;
    definition.cmp = compare;
    definition.query = query;
    definition.get_eoa = end_of_allocation;
    definition.set_eoa = set_end_of_allocation;
    definition.get_eof = end_of_file;
    definition.get_handle = get_handle;
    definition.read = read;
    definition.write = write;
    for (H5FD_mem_t& kind : definition.fl_map) kind = H5FD_MEM_DEFAULT;
    return H5FDregister(&definition);
  }();
  return id;
}

}  // namespace

hid_t make_read_access() {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (access >= 0) H5Pset_driver(access, driver_id(), nullptr);
  return access;
}

ReadDriver* read_driver(hid_t file) {
  void* handle = nullptr;
  return H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0 ? nullptr
                                                           : static_cast<ReadDriver*>(handle);
}

int descriptor(const ReadDriver& driver) { return driver.fd; }
std::int64_t file_size(const ReadDriver& driver) { return driver.size; }

std::optional<ChunkPlace> locate(ReadDriver& driver, hid_t dataset, const hsize_t* corner) {
  ChunkPlace place;
  std::byte unused{};
  driver.note = &place.extent;
  const herr_t status = H5Dread_chunk(dataset, H5P_DEFAULT, corner, &place.filter_mask, &unused);
  driver.note = nullptr;
  if (status < 0) return std::nullopt;
  return place;
}

void read_fully(int descriptor, Extent extent, void* to) {
  auto* at = static_cast<std::byte*>(to);
  while (extent.size > 0) {
    const ssize_t got =
        ::pread(descriptor, at, static_cast<std::size_t>(extent.size), extent.offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw io_error(std::generic_category().message(errno));
    if (got == 0) {
      throw io_error(fmt::format("the file ends at byte {}, {} more were expected",
                                 grouped(extent.offset), grouped(extent.size)));
    }
    at += got;
    extent.offset += got;
    extent.size -= got;
  }
}

}  // namespace cellmill::hdf5
