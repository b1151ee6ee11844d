#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cellmill/comm/communicator.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

/// What every Communicator must do, whatever carries it. Each case is run on all ranks at once.
struct CommunicatorCase {
  const char* name;
  void (*run)(Communicator&);
};

namespace communicator_suite {

using Bytes = std::vector<std::byte>;

/// Differs from rank to rank, message to message and byte to byte.
inline Bytes pattern(std::size_t length, int rank, int salt = 0) {
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; ++i) {
    bytes[i] = static_cast<std::byte>((i * 7 + i / 251 + static_cast<std::size_t>(rank) * 31 +
                                       static_cast<std::size_t>(salt) * 101) &
                                      0xFF);
  }
  return bytes;
}

inline void ranks_are_numbered(Communicator& comm) {
  EXPECT_GE(comm.rank(), 0);
  EXPECT_LT(comm.rank(), comm.size());
  EXPECT_GE(comm.local_size(), 1);
  EXPECT_LE(comm.local_size(), comm.size());
  std::vector<std::int64_t> seen(static_cast<std::size_t>(comm.size()));
  seen[static_cast<std::size_t>(comm.rank())] = 1;
  comm.all_reduce_sum(seen);
  EXPECT_EQ(seen, std::vector<std::int64_t>(static_cast<std::size_t>(comm.size()), 1));
}

inline void sums_are_exact(Communicator& comm) {
  // Beyond what a double holds.
  const std::int64_t large = (std::int64_t{1} << 60) + 1;
  std::vector<std::int64_t> values = {comm.rank() + 1, comm.rank() == 0 ? large : 0, -comm.rank()};
  comm.all_reduce_sum(values);
  const std::int64_t n = comm.size();
  EXPECT_EQ(values, (std::vector<std::int64_t>{n * (n + 1) / 2, large, -n * (n - 1) / 2}));
}

inline void sums_of_any_length(Communicator& comm) {
  for (const std::size_t length : {0, 1, 4095, 4096, 4097, 50'000}) {
    std::vector<std::int64_t> values(length);
    for (std::size_t i = 0; i < length; ++i) {
      values[i] = static_cast<std::int64_t>(i) * (comm.rank() + 1);
    }
    comm.all_reduce_sum(values);
    const std::int64_t n = comm.size();
    for (std::size_t i = 0; i < length; ++i) {
      ASSERT_EQ(values[i], static_cast<std::int64_t>(i) * n * (n + 1) / 2) << i << " of " << length;
    }
  }
}

inline void maxima(Communicator& comm) {
  std::vector<double> values(5000, -1.5 - comm.rank());
  values[4999] = 0.25 * comm.rank();
  comm.all_reduce_max(values);
  EXPECT_EQ(values[0], -1.5);
  EXPECT_EQ(values[4998], -1.5);
  EXPECT_EQ(values[4999], 0.25 * (comm.size() - 1));
  comm.all_reduce_max({});
}

inline void exclusive_scan(Communicator& comm) {
  EXPECT_EQ(comm.exscan_sum(comm.rank() + 10), comm.rank() * (comm.rank() + 19) / 2);
  EXPECT_EQ(comm.exscan_sum(0), 0);
}

inline void broadcast_from_each_rank(Communicator& comm) {
  for (int root = 0; root < comm.size(); ++root) {
    for (const std::size_t length : {0, 1, 10'000}) {
      Bytes bytes = pattern(length, comm.rank());
      comm.broadcast(bytes, root);
      EXPECT_EQ(bytes, pattern(length, root));
    }
  }
}

inline void gather_to_each_rank(Communicator& comm) {
  // Different lengths, none on rank 0.
  const auto of = [](int rank) { return pattern(static_cast<std::size_t>(rank) * 3333, rank); };
  for (int root = 0; root < comm.size(); ++root) {
    const auto all = comm.gather(of(comm.rank()), root);
    if (comm.rank() != root) {
      EXPECT_TRUE(all.empty());
      continue;
    }
    ASSERT_EQ(all.size(), static_cast<std::size_t>(comm.size()));
    for (int rank = 0; rank < comm.size(); ++rank) {
      EXPECT_EQ(all[static_cast<std::size_t>(rank)], of(rank));
    }
  }
}

inline void messages_keep_their_order(Communicator& comm) {
  const int next = (comm.rank() + 1) % comm.size();
  const int previous = (comm.rank() + comm.size() - 1) % comm.size();
  // Small ones only: all ranks send before any receives.
  for (int i = 0; i < 10; ++i) {
    comm.send(pattern(static_cast<std::size_t>(i) * 10, comm.rank(), i), next);
  }
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(comm.receive(previous), pattern(static_cast<std::size_t>(i) * 10, previous, i));
  }
}

inline void long_messages(Communicator& comm) {
  // A chain: the receiver may be waited for.
  const std::size_t length = 300'001;
  if (comm.rank() > 0) {
    EXPECT_EQ(comm.receive(comm.rank() - 1), pattern(length, comm.rank() - 1));
  }
  if (comm.rank() + 1 < comm.size()) comm.send(pattern(length, comm.rank()), comm.rank() + 1);
}

inline void messages_to_oneself(Communicator& comm) {
  comm.send(pattern(5000, comm.rank(), 1), comm.rank());
  comm.send({}, comm.rank());
  EXPECT_EQ(comm.receive(comm.rank()), pattern(5000, comm.rank(), 1));
  EXPECT_TRUE(comm.receive(comm.rank()).empty());
}

inline void posts_need_no_matching_call(Communicator& comm) {
  for (int to = 0; to < comm.size(); ++to) {
    for (int i = 0; i < 3; ++i) comm.post(pattern(100, comm.rank(), i), to);
  }
  // Posts come in while other things go on, and apart from them.
  std::int64_t one = 1;
  comm.all_reduce_sum({&one, 1});
  std::vector<int> heard(static_cast<std::size_t>(comm.size()), 0);
  for (int left = comm.size() * 3; left > 0;) {
    const auto posted = comm.poll();
    if (!posted) continue;
    int& count = heard[static_cast<std::size_t>(posted->from)];
    EXPECT_EQ(posted->bytes, pattern(100, posted->from, count));
    ++count;
    --left;
  }
  EXPECT_EQ(heard, std::vector<int>(static_cast<std::size_t>(comm.size()), 3));
  EXPECT_FALSE(comm.poll().has_value());
  // Nobody goes on to post more before all have looked.
  comm.all_reduce_sum({&one, 1});
}

inline void nobody_has_left(Communicator& comm) {
  for (int rank = 0; rank < comm.size(); ++rank) EXPECT_FALSE(comm.has_left(rank));
  EXPECT_EQ(comm.exscan_sum(0), 0);
}

inline void strange_ranks_are_refused(Communicator& comm) {
  EXPECT_THROW(comm.send({}, comm.size()), Error);
  EXPECT_THROW(comm.post({}, -1), Error);
  EXPECT_THROW((void)comm.receive(comm.size()), Error);
  EXPECT_THROW(comm.broadcast({}, comm.size()), Error);
  EXPECT_THROW((void)comm.gather({}, -1), Error);
}

inline void strings(Communicator& comm) {
  for (int root = 0; root < comm.size(); ++root) {
    std::string text = comm.rank() == root ? "Zelllinie-Ä " + std::to_string(root) : "x";
    broadcast_string(comm, text, root);
    EXPECT_EQ(text, "Zelllinie-Ä " + std::to_string(root));
    std::string empty = comm.rank() == root ? "" : "not this";
    broadcast_string(comm, empty, root);
    EXPECT_EQ(empty, "");
  }
}

inline void all_gather_of_different_lengths(Communicator& comm) {
  std::vector<std::int64_t> expected;
  for (int rank = 0; rank < comm.size(); ++rank) {
    expected.insert(expected.end(), static_cast<std::size_t>(rank), rank * 100);
  }
  EXPECT_EQ(all_gather(comm, std::vector<std::int64_t>(static_cast<std::size_t>(comm.rank()),
                                                       comm.rank() * 100)),
            expected);
}

inline void pulses_are_numbered(Communicator& comm) {
  const std::int64_t first = comm.next_pulse();
  EXPECT_EQ(comm.next_pulse(), first + 1);
}

}  // namespace communicator_suite

inline std::vector<CommunicatorCase> communicator_cases() {
  namespace suite = communicator_suite;
  return {{"RanksAreNumbered", suite::ranks_are_numbered},
          {"SumsAreExact", suite::sums_are_exact},
          {"SumsOfAnyLength", suite::sums_of_any_length},
          {"Maxima", suite::maxima},
          {"ExclusiveScan", suite::exclusive_scan},
          {"BroadcastFromEachRank", suite::broadcast_from_each_rank},
          {"GatherToEachRank", suite::gather_to_each_rank},
          {"MessagesKeepTheirOrder", suite::messages_keep_their_order},
          {"LongMessages", suite::long_messages},
          {"MessagesToOneself", suite::messages_to_oneself},
          {"PostsNeedNoMatchingCall", suite::posts_need_no_matching_call},
          {"NobodyHasLeft", suite::nobody_has_left},
          {"StrangeRanksAreRefused", suite::strange_ranks_are_refused},
          {"Strings", suite::strings},
          {"AllGatherOfDifferentLengths", suite::all_gather_of_different_lengths},
          {"PulsesAreNumbered", suite::pulses_are_numbered}};
}

}  // namespace cellmill
