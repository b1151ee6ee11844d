#include <fmt/format.h>

// OpenMPI's retired C++ bindings would come along.
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <list>
#include <thread>
#include <utility>

#include "cellmill/comm/mpi.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/text.hpp"
#include "comm/backoff.hpp"
#include "comm/parts.hpp"
#include "comm/vigil.hpp"

namespace cellmill {
namespace {

using Bytes = std::vector<std::byte>;

constexpr int kLengthTag = 1;  ///< of a message, before its bytes
constexpr int kReadyTag = 2;   ///< the receiver is there
constexpr int kBytesTag = 3;
constexpr int kPostTag = 4;
constexpr int kFarewellTag = 5;
constexpr int kHereTag = 6;  ///< from a rank that waits: it is alive

/// Messages up to this leave at once, whatever the transport. Longer ones wait, sleeping, until the
/// receiver is ready: MPI itself would spin.
constexpr std::size_t kSmall = 1024;

constexpr auto kTellAfter = std::chrono::milliseconds(200);
constexpr auto kWaitAfterError = std::chrono::seconds(10);

/// A rank's last word to another: what it took part in, so that the other knows what to wait for.
struct Farewell {
  std::int64_t collectives = 0;
  std::int64_t sent = 0;      ///< messages to the one who reads this
  std::int64_t received = 0;  ///< from it
};

/// Three copies of MPI_COMM_WORLD keep what may overlap apart: collectives with messages, posted
/// messages, the end. A collective first waits for all ranks in a barrier, in which a rank's
/// farewell is heard, then for MPI's own operation. Both waits sleep and keep the vigil
/// (comm/vigil.hpp): MPI itself would spin, and for ever if a rank was killed.
class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(const MpiOptions& options)
      : part_(options.part), exceptions_(std::uncaught_exceptions()) {
    int provided = MPI_THREAD_SINGLE;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    if (provided < MPI_THREAD_FUNNELED) {
      throw comm_error("this MPI allows no threads beside the one that calls it (FUNNELED)");
    }
    check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    for (MPI_Comm* copy : {&data_, &posts_, &end_}) {
      check(MPI_Comm_dup(MPI_COMM_WORLD, copy), "MPI_Comm_dup");
      check(MPI_Comm_set_errhandler(*copy, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    }
    check(MPI_Comm_rank(data_, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(data_, &size_), "MPI_Comm_size");
    MPI_Comm node = MPI_COMM_NULL;
    check(MPI_Comm_split_type(data_, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node),
          "MPI_Comm_split_type");
    check(MPI_Comm_size(node, &local_size_), "MPI_Comm_size");
    check(MPI_Comm_free(&node), "MPI_Comm_free");
    const auto ranks = static_cast<std::size_t>(size_);
    sent_.resize(ranks);
    received_.resize(ranks);
    farewells_.resize(ranks);
    vigil_.emplace(rank_, size_, options.silence);
  }

  ~MpiCommunicator() override {
    try {
      end();
    } catch (const std::exception& error) {
      log_warning(fmt::format("leaving without MPI_Finalize: {}", error.what()));
    }
  }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }
  [[nodiscard]] int local_size() const override { return local_size_; }

  void all_reduce_sum(std::span<std::int64_t> values) override {
    meet("all_reduce_sum");
    brings(values.size_bytes());
    for_each_part(values.size(), part_, [&](std::size_t begin, std::size_t count) {
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Iallreduce(MPI_IN_PLACE, values.data() + begin, static_cast<int>(count),
                           MPI_INT64_T, MPI_SUM, data_, &request),
            "MPI_Iallreduce");
      complete(request, count * sizeof values[0]);
    });
  }

  void all_reduce_max(std::span<double> values) override {
    meet("all_reduce_max");
    brings(values.size_bytes());
    for_each_part(values.size(), part_, [&](std::size_t begin, std::size_t count) {
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Iallreduce(MPI_IN_PLACE, values.data() + begin, static_cast<int>(count), MPI_DOUBLE,
                           MPI_MAX, data_, &request),
            "MPI_Iallreduce");
      complete(request, count * sizeof values[0]);
    });
  }

  [[nodiscard]] std::int64_t exscan_sum(std::int64_t value) override {
    meet("exscan_sum");
    brings(sizeof value);
    std::int64_t sum = 0;
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Iexscan(&value, &sum, 1, MPI_INT64_T, MPI_SUM, data_, &request), "MPI_Iexscan");
    complete(request, sizeof value);
    return rank_ == 0 ? 0 : sum;  // MPI leaves rank 0's undefined
  }

  void broadcast(std::span<std::byte> bytes, int root) override {
    require_rank("broadcast", root);
    meet("broadcast");
    brings(bytes.size());
    for_each_part(bytes.size(), part_, [&](std::size_t begin, std::size_t count) {
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Ibcast(bytes.data() + begin, static_cast<int>(count), MPI_BYTE, root, data_,
                       &request),
            "MPI_Ibcast");
      complete(request, count);
    });
  }

  [[nodiscard]] std::vector<Bytes> gather(std::span<const std::byte> bytes, int root) override {
    require_rank("gather", root);
    meet("gather");
    std::vector<Bytes> all;
    if (rank_ != root) {
      send(bytes, root);
      return all;
    }
    for (int from = 0; from < size_; ++from) {
      all.push_back(from == rank_ ? Bytes(bytes.begin(), bytes.end()) : receive(from));
    }
    return all;
  }

  void send(std::span<const std::byte> bytes, int to) override {
    require_rank("send", to);
    require_whole("send");
    if (to == rank_) {
      to_self_.emplace_back(bytes.begin(), bytes.end());
      return;
    }
    brings(bytes.size());
    const std::int64_t number = ++sent_[index(to)];
    const auto length = static_cast<std::int64_t>(bytes.size());
    check(MPI_Send(&length, 1, MPI_INT64_T, to, kLengthTag, data_), "MPI_Send");
    if (bytes.size() > kSmall) {
      MPI_Request ready = MPI_REQUEST_NULL;
      check(MPI_Irecv(nullptr, 0, MPI_BYTE, to, kReadyTag, data_, &ready), "MPI_Irecv");
      wait("send", ready, to, [&](const Farewell& its) { return its.received < number; });
    }
    for_each_part(bytes.size(), part_, [&](std::size_t begin, std::size_t count) {
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Isend(bytes.data() + begin, static_cast<int>(count), MPI_BYTE, to, kBytesTag, data_,
                      &request),
            "MPI_Isend");
      complete(request, count);
    });
  }

  [[nodiscard]] Bytes receive(int from) override {
    require_rank("receive", from);
    require_whole("receive");
    if (from == rank_) {
      if (to_self_.empty()) {
        throw comm_error(fmt::format("receive: rank {} waits for a message it never sent", rank_));
      }
      return take(to_self_);
    }
    const std::int64_t number = received_[index(from)] + 1;
    std::int64_t length = 0;
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Irecv(&length, 1, MPI_INT64_T, from, kLengthTag, data_, &request), "MPI_Irecv");
    wait("receive", request, from, [&](const Farewell& its) { return its.sent < number; });
    Bytes bytes(static_cast<std::size_t>(length));
    if (bytes.size() > kSmall) {
      check(MPI_Send(nullptr, 0, MPI_BYTE, from, kReadyTag, data_), "MPI_Send");
    }
    for_each_part(bytes.size(), part_, [&](std::size_t begin, std::size_t count) {
      MPI_Request part = MPI_REQUEST_NULL;
      check(MPI_Irecv(bytes.data() + begin, static_cast<int>(count), MPI_BYTE, from, kBytesTag,
                      data_, &part),
            "MPI_Irecv");
      complete(part, count);
    });
    received_[index(from)] = number;
    return bytes;
  }

  void post(std::span<const std::byte> bytes, int to) override {
    require_rank("post", to);
    if (bytes.size() > part_) {
      throw comm_error(fmt::format("post: {} bytes, at most {} travel", bytes.size(), part_));
    }
    post_as(kPostTag, Bytes(bytes.begin(), bytes.end()), to);
  }

  [[nodiscard]] std::optional<Posted> poll() override {
    collect_posts();
    if (inbox_.empty()) return std::nullopt;
    return take(inbox_);
  }

  [[nodiscard]] bool has_left(int rank) const override {
    if (!farewells_[index(rank)]) return false;
    for (const Posted& posted : inbox_) {
      if (posted.from == rank) return false;
    }
    return true;
  }

  [[noreturn]] void abort(const std::string& message, int status) override {
    log_failure(message, status);
    std::fflush(nullptr);
    MPI_Abort(MPI_COMM_WORLD, status);
    std::_Exit(status);
  }

 private:
  struct Outgoing {
    Bytes bytes;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }

  template <class T>
  static T take(std::deque<T>& queue) {
    T first = std::move(queue.front());
    queue.pop_front();
    return first;
  }

  void require_rank(const char* operation, int rank) const {
    if (rank < 0 || rank >= size_) {
      throw comm_error(fmt::format("{}: no rank {} among {}", operation, rank, size_));
    }
  }
  void require_whole(const char* operation) const {
    if (broken_) {
      throw comm_error(fmt::format("{}: rank {} has lost touch with the others", operation, rank_));
    }
  }

  void check(int code, const char* call) {
    if (code == MPI_SUCCESS) return;
    broken_ = true;
    std::array<char, MPI_MAX_ERROR_STRING + 1> text{};
    int length = 0;
    MPI_Error_string(code, text.data(), &length);
    throw comm_error(fmt::format("rank {}: {} failed: {}", rank_, call, text.data()));
  }

  [[nodiscard]] bool test(MPI_Request& request) {
    int done = 0;
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  }

  void brings(std::size_t bytes) { cost_.bytes += static_cast<std::int64_t>(bytes); }

  static double seconds_of(const Backoff& wait) {
    return std::chrono::duration<double>(wait.waited()).count();
  }

  /// Waits for `request`, unless the farewell of the rank it needs says that it never will be
  /// met.
  template <class Hopeless>
  void wait(const char* operation, MPI_Request& request, int needed, Hopeless&& hopeless) {
    const Backoff backoff;
    vigil_->begin(Vigil::Clock::now());
    while (!test(request)) {
      keep_vigil();
      const auto& farewell = farewells_[index(needed)];
      if (farewell && hopeless(*farewell)) {
        MPI_Cancel(&request);  // its buffer is about to die
        MPI_Request_free(&request);
        throw lost(operation, needed);
      }
      backoff.pause();
    }
    cost_.waiting += seconds_of(backoff);
  }

  Error lost(const char* operation, int other) {
    broken_ = true;
    return comm_error(
        fmt::format("rank {} ended while rank {} waited for it in {}", other, rank_, operation));
  }

  /// Waits until all ranks are in this collective.
  void meet(const char* operation) {
    require_whole(operation);
    const std::int64_t number = ++collectives_;
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ibarrier(data_, &request), "MPI_Ibarrier");
    const Backoff backoff;
    vigil_->begin(Vigil::Clock::now());
    while (!test(request)) {
      keep_vigil();
      for (int other = 0; other < size_; ++other) {
        const auto& farewell = farewells_[index(other)];
        if (farewell && farewell->collectives < number) throw lost(operation, other);
      }
      backoff.pause();
    }
    cost_.waiting += seconds_of(backoff);
  }

  /// Waits for an operation on so many bytes that all it needs have begun. MPI moves them while it
  /// is tested, some tens of kilobytes each time: naps would make that the rate. So this waits
  /// wide awake for as long as a fast network may take, and naps only for a slow one.
  void complete(MPI_Request& request, std::size_t bytes) {
    constexpr double slow = 50e6;  // bytes a second
    const std::chrono::duration<double> awake(1e-4 + static_cast<double>(bytes) / slow);
    const Backoff backoff;
    vigil_->begin(Vigil::Clock::now());
    while (!test(request)) {
      keep_vigil();
      if (backoff.waited() < awake) {
        std::this_thread::yield();
      } else {
        backoff.pause();
      }
    }
    cost_.moving += seconds_of(backoff);
  }

  /// Takes in what was posted, and sees to it that a rank that died is noticed.
  void keep_vigil() {
    collect_posts();
    const Vigil::Turn turn = vigil_->turn(Vigil::Clock::now());
    if (turn.speak) {
      for (int other = rank_ == 0 ? 1 : 0; other < (rank_ == 0 ? size_ : 1); ++other) {
        if (!farewells_[index(other)]) post_as(kHereTag, {}, other);
      }
    }
    if (turn.silent && !farewells_[index(*turn.silent)]) {
      const double seconds = std::chrono::duration<double>(turn.quiet).count();
      abort(
          fmt::format("rank {} has said nothing for {} while others wait for it: it died or hangs, "
                      "so the job ends",
                      *turn.silent, human_seconds(seconds)),
          exit_status(Error::Kind::comm));
    }
  }

  void post_as(int tag, Bytes bytes, int to) {
    if (to == rank_) {
      inbox_.push_back({rank_, std::move(bytes)});
      return;
    }
    outgoing_.remove_if([&](Outgoing& message) { return test(message.request); });
    Outgoing& message = outgoing_.emplace_back(Outgoing{std::move(bytes)});
    check(MPI_Isend(message.bytes.data(), static_cast<int>(message.bytes.size()), MPI_BYTE, to, tag,
                    posts_, &message.request),
          "MPI_Isend");
  }

  /// Takes in what was posted to this rank. A rank's farewell comes after all that it posted.
  void collect_posts() {
    outgoing_.remove_if([&](Outgoing& message) { return test(message.request); });
    for (;;) {
      int found = 0;
      MPI_Message message = MPI_MESSAGE_NULL;
      MPI_Status status;
      check(MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, posts_, &found, &message, &status),
            "MPI_Improbe");
      if (found == 0) return;
      int count = 0;
      check(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count");
      Bytes bytes(static_cast<std::size_t>(count));
      check(MPI_Mrecv(bytes.data(), count, MPI_BYTE, &message, MPI_STATUS_IGNORE), "MPI_Mrecv");
      vigil_->heard(status.MPI_SOURCE);
      if (status.MPI_TAG == kPostTag) {
        inbox_.push_back({status.MPI_SOURCE, std::move(bytes)});
      } else if (status.MPI_TAG == kFarewellTag) {
        Farewell farewell;
        std::memcpy(&farewell, bytes.data(), std::min(bytes.size(), sizeof farewell));
        farewells_[index(status.MPI_SOURCE)] = farewell;
      }
    }
  }

  void say_farewell() {
    for (int other = 0; other < size_; ++other) {
      if (other == rank_) continue;
      const Farewell farewell{collectives_, sent_[index(other)], received_[index(other)]};
      const auto bytes = std::as_bytes(std::span(&farewell, 1));
      post_as(kFarewellTag, Bytes(bytes.begin(), bytes.end()), other);
    }
  }

  /// Finalises when all ranks are here. Those that still wait for this one are told after a moment,
  /// so that a normal end needs no messages from each rank to each.
  void end() {
    const bool after_error = broken_ || std::uncaught_exceptions() > exceptions_;
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ibarrier(end_, &request), "MPI_Ibarrier");
    const Backoff backoff;
    vigil_->begin(Vigil::Clock::now());
    for (bool told = false; !test(request); backoff.pause()) {
      keep_vigil();
      if (!told && backoff.waited() > kTellAfter) {
        say_farewell();
        told = true;
      }
      if (after_error && backoff.waited() > kWaitAfterError) {
        throw comm_error("other ranks are still at work");
      }
    }
    MPI_Finalize();
  }

  const std::size_t part_;
  const int exceptions_;  ///< in flight when this was made: more of them mean an end by error
  MPI_Comm data_ = MPI_COMM_NULL;
  MPI_Comm posts_ = MPI_COMM_NULL;
  MPI_Comm end_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  int local_size_ = 1;
  bool broken_ = false;  ///< a call failed or was given up: no more collectives
  std::int64_t collectives_ = 0;
  std::vector<std::int64_t> sent_;
  std::vector<std::int64_t> received_;
  std::vector<std::optional<Farewell>> farewells_;
  std::optional<Vigil> vigil_;
  std::deque<Posted> inbox_;
  std::deque<Bytes> to_self_;
  std::list<Outgoing> outgoing_;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(const MpiOptions& options) {
  int before = 0;
  MPI_Initialized(&before);
  if (before != 0) throw comm_error("MPI was started before: it starts once in a program");
  return std::make_unique<MpiCommunicator>(options);
}

bool have_mpi() { return true; }

}  // namespace cellmill
