#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/anndata/write.hpp"

namespace cellmill {

namespace {

using nlohmann::json;

bool all(const json& values, bool (json::*is)() const noexcept) {
  return std::all_of(values.begin(), values.end(), [&](const json& v) { return (v.*is)(); });
}

template <class T>
void write_vector(Group& parent, const std::string& name, const json& values) {
  const auto numbers = values.get<std::vector<T>>();
  write_dense<T>(parent, name, numbers);
}

void write_list(Group& parent, const std::string& name, const json& values) {
  if (values.empty()) {
    write_dense<double>(parent, name, {});
  } else if (all(values, &json::is_string)) {
    Strings texts;
    for (const json& value : values) texts.push_back(value.get_ref<const std::string&>());
    write_texts(parent, name, texts);
  } else if (all(values, &json::is_boolean)) {
    std::vector<std::uint8_t> truths;
    for (const json& value : values) truths.push_back(value.get<bool>() ? 1 : 0);
    write_truths(parent, name, truths);
  } else if (all(values, &json::is_number_integer)) {
    write_vector<std::int64_t>(parent, name, values);
  } else if (all(values, &json::is_number)) {
    write_vector<double>(parent, name, values);
  } else {
    write_text(parent, name, values.dump(-1, ' ', false, json::error_handler_t::replace));
  }
}

}  // namespace

void write_json(Group& parent, const std::string& name, const json& value) {
  switch (value.type()) {
    case json::value_t::object: {
      const std::unique_ptr<Group> dict = create_dict(parent, name);
      for (const auto& [key, member] : value.items()) {
        if (member.is_null()) continue;
        std::string member_name = key;
        std::replace(member_name.begin(), member_name.end(), '/', '|');
        write_json(*dict, member_name, member);
      }
      return;
    }
    case json::value_t::array:
      return write_list(parent, name, value);
    case json::value_t::string:
      return write_text(parent, name, value.get_ref<const std::string&>());
    case json::value_t::boolean:
      return write_number(parent, name, value.get<bool>());
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
      return write_number(parent, name, value.get<std::int64_t>());
    case json::value_t::number_float:
      return write_number(parent, name, value.get<double>());
    case json::value_t::null:
    case json::value_t::binary:
    case json::value_t::discarded:
      return write_text(parent, name, value.dump());
  }
}

}  // namespace cellmill
