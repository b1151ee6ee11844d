#include "cellmill/comm/communicator.hpp"

#include <algorithm>

namespace cellmill {

void broadcast_string(Communicator& comm, std::string& value, int root) {
  // A sum in which only the root counts: all ranks learn the length.
  std::int64_t length = comm.rank() == root ? static_cast<std::int64_t>(value.size()) : 0;
  comm.all_reduce_sum({&length, 1});
  value.resize(static_cast<std::size_t>(length));
  comm.broadcast(std::as_writable_bytes(std::span(value)), root);
}

std::vector<std::int64_t> all_gather(Communicator& comm, std::span<const std::int64_t> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  const std::int64_t begin = comm.exscan_sum(count);
  std::int64_t total = count;
  comm.all_reduce_sum({&total, 1});
  std::vector<std::int64_t> all(static_cast<std::size_t>(total));
  std::copy(values.begin(), values.end(), all.begin() + begin);
  comm.all_reduce_sum(all);  // each place is non-zero on one rank at most
  return all;
}

}  // namespace cellmill
