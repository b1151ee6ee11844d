#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "cellmill/core/error.hpp"

namespace cellmill {

/// What the ranks of a pulse tell each other: a fixed head, then a text. All ranks run one program
/// on one kind of machine, so the head travels as it lies in memory.

enum class WorkState : std::int32_t { running, done, stopped, failed };
enum class InCall : std::int32_t { no, yes };  ///< the main thread may be away in an on_main call

/// Any rank to rank 0.
struct ReportHead {
  std::int64_t pulse = 0;
  std::int64_t cells = 0;
  std::int64_t bytes = 0;
  std::int64_t share = 0;
  WorkState state = WorkState::running;
  Error::Kind kind = Error::Kind::comm;  ///< of the error, if stopped or failed
  InCall in_call = InCall::no;
  std::int32_t stop_asked = 0;
};

enum class Word : std::int32_t { go_on, stop, over, over_with_error };

/// Rank 0 to any rank.
struct BeatHead {
  std::int64_t pulse = 0;
  Word word = Word::go_on;
  Error::Kind kind = Error::Kind::comm;  ///< of the error all ranks throw, if over with one
  InCall in_call = InCall::no;
};

template <class Head>
struct PulseMessage : Head {
  std::string text;  ///< the error's
};
using Report = PulseMessage<ReportHead>;
using Beat = PulseMessage<BeatHead>;

template <class Head>
[[nodiscard]] std::vector<std::byte> encode(const PulseMessage<Head>& message) {
  static_assert(std::is_trivially_copyable_v<Head>);
  const Head& head = message;
  std::vector<std::byte> bytes(sizeof(Head) + message.text.size());
  std::memcpy(bytes.data(), &head, sizeof(Head));
  std::memcpy(bytes.data() + sizeof(Head), message.text.data(), message.text.size());
  return bytes;
}

template <class Head>
[[nodiscard]] PulseMessage<Head> decode(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(Head)) throw comm_error("pulse: a message is shorter than its head");
  PulseMessage<Head> message;
  Head& head = message;
  std::memcpy(&head, bytes.data(), sizeof(Head));
  const auto text = bytes.subspan(sizeof(Head));
  message.text.assign(reinterpret_cast<const char*>(text.data()), text.size());
  return message;
}

}  // namespace cellmill
