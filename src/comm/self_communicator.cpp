#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <utility>

#include "cellmill/comm/communicator.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"

namespace cellmill {
namespace {

using Bytes = std::vector<std::byte>;

class SelfCommunicator final : public Communicator {
 public:
  [[nodiscard]] int rank() const override { return 0; }
  [[nodiscard]] int size() const override { return 1; }
  [[nodiscard]] int local_size() const override { return 1; }

  void all_reduce_sum(std::span<std::int64_t>) override {}
  void all_reduce_max(std::span<double>) override {}
  [[nodiscard]] std::int64_t exscan_sum(std::int64_t) override { return 0; }
  void broadcast(std::span<std::byte>, int root) override { require_self("broadcast", root); }
  [[nodiscard]] std::vector<Bytes> gather(std::span<const std::byte> bytes, int root) override {
    require_self("gather", root);
    return {Bytes(bytes.begin(), bytes.end())};
  }

  void send(std::span<const std::byte> bytes, int to) override {
    require_self("send", to);
    sent_.emplace_back(bytes.begin(), bytes.end());
  }
  [[nodiscard]] Bytes receive(int from) override {
    require_self("receive", from);
    if (sent_.empty()) {
      throw comm_error("receive: the only rank waits for a message of its own that it never sent");
    }
    return take(sent_);
  }
  void post(std::span<const std::byte> bytes, int to) override {
    require_self("post", to);
    posted_.emplace_back(bytes.begin(), bytes.end());
  }
  [[nodiscard]] std::optional<Posted> poll() override {
    if (posted_.empty()) return std::nullopt;
    return Posted{0, take(posted_)};
  }
  [[nodiscard]] bool has_left(int) const override { return false; }

  [[noreturn]] void abort(const std::string& message, int status) override {
    log_failure(message, status);
    std::fflush(nullptr);
    std::_Exit(status);
  }

 private:
  static void require_self(const char* operation, int rank) {
    if (rank != 0) throw comm_error(fmt::format("{}: no rank {} among 1", operation, rank));
  }
  static Bytes take(std::deque<Bytes>& queue) {
    Bytes first = std::move(queue.front());
    queue.pop_front();
    return first;
  }

  std::deque<Bytes> sent_;
  std::deque<Bytes> posted_;
};

}  // namespace

std::unique_ptr<Communicator> make_self_communicator() {
  return std::make_unique<SelfCommunicator>();
}

}  // namespace cellmill
