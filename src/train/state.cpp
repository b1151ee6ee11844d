#include "cellmill/train/state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

using Json = nlohmann::ordered_json;
using Options = std::vector<std::pair<std::string, std::string>>;

const std::string* value_of(const Options& options, const std::string& name) {
  const auto found = std::find_if(options.begin(), options.end(),
                                  [&](const auto& option) { return option.first == name; });
  return found == options.end() ? nullptr : &found->second;
}

const Json& member(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) throw input_error(fmt::format("state: it has no '{}'", name));
  return *found;
}

std::string text_of(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::uint64_t number(const Json& object, const char* name, std::uint64_t least,
                     std::uint64_t most) {
  const Json& value = member(object, name);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() < least ||
      value.get<std::uint64_t>() > most) {
    throw input_error(fmt::format("state: {}: {} found, expected a whole number from {} to {}",
                                  name, text_of(value), least, most));
  }
  return value.get<std::uint64_t>();
}

std::string hash_text(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

}  // namespace

std::uint64_t LoaderState::hash() const {
  // FNV-1a; each text ends with a byte that UTF-8 does not have.
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  const auto add = [&](std::string_view text) {
    constexpr std::uint64_t prime = 0x100000001B3ULL;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * prime;
    hash = (hash ^ 0xFFU) * prime;
  };
  add(std::to_string(seed));
  add(std::to_string(lanes));
  for (const auto& [name, value] : options) {
    add(name);
    add(value);
  }
  return hash;
}

LoaderState make_state(const Order& order, std::uint64_t seed, std::int64_t epoch,
                       std::int64_t batches, std::uint64_t data) {
  LoaderState state;
  state.seed = seed;
  state.epoch = epoch;
  state.batches = batches;
  state.lanes = order.lanes();
  state.options = order.options();
  state.data = data;
  return state;
}

std::string to_json(const LoaderState& state) {
  Json options = Json::object();
  for (const auto& [name, value] : state.options) options[name] = value;
  const Json json{{"version", state.version},
                  {"seed", state.seed},
                  {"epoch", state.epoch},
                  {"batches", state.batches},
                  {"lanes", state.lanes},
                  {"options", std::move(options)},
                  {"hash", hash_text(state.hash())},
                  {"data", hash_text(state.data)}};
  return text_of(json);
}

LoaderState state_from_json(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) throw input_error("state: it is no JSON object");
  constexpr std::uint64_t most_int = std::numeric_limits<std::int32_t>::max();
  constexpr std::uint64_t most_count = std::numeric_limits<std::int64_t>::max();
  LoaderState state;
  state.version = static_cast<int>(number(json, "version", 0, most_int));
  if (state.version != LoaderState::current_version) {
    throw input_error(fmt::format("state: version {} found, expected {}", state.version,
                                  LoaderState::current_version));
  }
  state.seed = number(json, "seed", 0, std::numeric_limits<std::uint64_t>::max());
  state.epoch = static_cast<std::int64_t>(number(json, "epoch", 0, most_count));
  state.batches = static_cast<std::int64_t>(number(json, "batches", 0, most_count));
  state.lanes = static_cast<int>(number(json, "lanes", 1, most_int));
  const Json& options = member(json, "options");
  if (!options.is_object()) {
    throw input_error(
        fmt::format("state: options: {} found, expected an object", text_of(options)));
  }
  for (const auto& [name, value] : options.items()) {
    if (!value.is_string()) {
      throw input_error(fmt::format("state: options: {}: {} found, expected a string",
                                    printable(name), text_of(value)));
    }
    state.options.emplace_back(name, value.get<std::string>());
  }
  if (const Json& hash = member(json, "hash"); hash != hash_text(state.hash())) {
    throw input_error(fmt::format("state: its options were changed: hash {} found, expected {}",
                                  text_of(hash), hash_text(state.hash())));
  }
  const Json& data = member(json, "data");
  const std::string digits = data.is_string() ? data.get<std::string>() : std::string();
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), state.data, 16);
  if (digits.size() != 16 || error != std::errc() || end != digits.data() + digits.size()) {
    throw input_error(
        fmt::format("state: data: {} found, expected 16 hexadecimal digits", text_of(data)));
  }
  return state;
}

void check(const LoaderState& state, const Order& order, std::uint64_t data) {
  const Options options = order.options();
  for (const auto& [name, value] : options) {
    const std::string* saved = value_of(state.options, name);
    if (saved == nullptr) {
      throw input_error(
          fmt::format("the state was saved without {0}, this loader has {0}={1}", name, value));
    }
    if (*saved != value) {
      throw input_error(
          fmt::format("the state was saved with {}={}, this loader has {}", name, *saved, value));
    }
  }
  for (const auto& [name, value] : state.options) {
    if (value_of(options, name) == nullptr) {
      throw input_error(
          fmt::format("the state was saved with {0}={1}, this loader has no {0}", name, value));
    }
  }
  const std::int64_t all = order.lanes() * order.lane_batches();
  if (state.batches > all) {
    throw input_error(fmt::format("the state was saved after {} batches, an epoch has {}",
                                  grouped(state.batches), grouped(all)));
  }
  if (state.data != data) {
    throw input_error(fmt::format(
        "the data changed since the state was saved: as many rows, but other values or genes "
        "(fingerprint {} then, {} now)",
        hash_text(state.data), hash_text(data)));
  }
}

}  // namespace cellmill
