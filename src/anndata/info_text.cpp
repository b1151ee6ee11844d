#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "cellmill/anndata/info.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

using Json = nlohmann::ordered_json;

std::string shape_text(const Json& shape) {
  std::string text;
  for (const Json& length : shape) {
    text += (text.empty() ? "" : " × ") + grouped(length.get<std::int64_t>());
  }
  return text;
}

/// dtype, shape, chunks and codecs of an array on one line.
std::string array_text(const Json& array) {
  const std::string dtype = array["dtype"];
  if (array["shape"].empty()) return dtype + ", scalar";
  return fmt::format("{}, {}, chunks of {}, {}", dtype, shape_text(array["shape"]),
                     shape_text(array["chunks"]), array["codecs"].get<std::string>());
}

/// What is known of a member of obsm, layers …
std::string member_text(const Json& member) {
  if (member.contains("message")) return "unreadable: " + member["message"].get<std::string>();
  if (member.contains("dtype")) return array_text(member);
  const std::string encoding = member["encoding"];
  const std::string shape = member.contains("shape") ? ", " + shape_text(member["shape"]) : "";
  return (encoding.empty() ? "group" : encoding) + shape;
}

std::string joined(const Json& names) {
  std::string text;
  for (const Json& name : names) text += (text.empty() ? "" : ", ") + name.get<std::string>();
  return text;
}

/// `float64`, `string`, `categorical`, `categorical (int64)`, `nullable-integer (int32)`.
std::string kind_text(const std::string& kind, const std::string& dtype) {
  if (kind == "numeric") return dtype;
  return dtype == "string" || dtype == "bool" ? kind : fmt::format("{} ({})", kind, dtype);
}

std::string column_text(const Json& column) {
  std::string text = kind_text(column["kind"], column["dtype"]);
  if (column.contains("levels")) {
    const std::int64_t levels = column["levels"];
    const std::size_t first = column["first_levels"].size();
    text += fmt::format(", {}{} level{}: {}{}", column["ordered"].get<bool>() ? "ordered, " : "",
                        grouped(levels), levels == 1 ? "" : "s", joined(column["first_levels"]),
                        static_cast<std::int64_t>(first) < levels ? ", …" : "");
  }
  if (column.contains("message")) text += "; unreadable: " + column["message"].get<std::string>();
  return text;
}

void append_frame(const std::string& name, const Json& frame, std::string& text) {
  text +=
      fmt::format("  {:<7} {} rows, index \"{}\"", name, grouped(frame["rows"].get<std::int64_t>()),
                  frame["index"].get<std::string>());
  const Json& repeats = frame["repeated_names"];
  if (repeats.is_null()) {
    text += ", repeated names not looked for";
  } else if (repeats["count"] > 0) {
    const std::int64_t count = repeats["count"];
    text += fmt::format(", {} name{} repeated: {}{}", grouped(count), count == 1 ? "" : "s",
                        joined(repeats["examples"]),
                        static_cast<std::int64_t>(repeats["examples"].size()) < count ? ", …" : "");
  }
  text += '\n';
  for (const Json& column : frame["columns"]) {
    text += fmt::format("    {:<20} {}\n", column["name"].get<std::string>(), column_text(column));
  }
}

void append_x(const Json& x, std::string& text) {
  if (x.is_null()) {
    text += "  X       none\n";
    return;
  }
  text += fmt::format("  X       {}, {}, {} stored values ({:.2f}%)\n",
                      x["encoding"].get<std::string>(), x["dtype"].get<std::string>(),
                      grouped(x["nnz"].get<std::int64_t>()), 100 * x["density"].get<double>());
  for (const auto& [name, array] : x["arrays"].items()) {
    text += fmt::format("    {:<20} {}\n", name, array_text(array));
  }
}

void append_tree(const Json& nodes, const std::string& indent, std::string& text) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Json& node = nodes[i];
    const bool last = i + 1 == nodes.size();
    text += fmt::format("{}{} {}: {}\n", indent, last ? "└──" : "├──",
                        node["name"].get<std::string>(), member_text(node));
    if (node.contains("children")) {
      append_tree(node["children"], indent + (last ? "    " : "│   "), text);
    }
  }
}

}  // namespace

std::string info_text(const Json& description) {
  std::string text = fmt::format(
      "{}: {} cells × {} genes, {}, {} on disk, about {} loaded\n",
      description["path"].get<std::string>(), grouped(description["n_obs"].get<std::int64_t>()),
      grouped(description["n_vars"].get<std::int64_t>()), description["format"].get<std::string>(),
      human_bytes(description["disk_bytes"]), human_bytes(description["loaded_bytes"]));
  append_x(description["x"], text);
  append_frame("obs", description["obs"], text);
  append_frame("var", description["var"], text);
  for (const char* slot : {"layers", "obsm", "varm", "obsp", "varp", "uns"}) {
    if (description[slot].empty()) continue;
    text += fmt::format("  {}\n", slot);
    for (const auto& [key, member] : description[slot].items()) {
      text += fmt::format("    {:<20} {}\n", key, member_text(member));
    }
  }
  if (description["raw"].get<bool>()) text += "  raw     present\n";
  return text;
}

std::string tree_text(const Json& tree) {
  std::string text;
  append_tree(tree, "", text);
  return text;
}

}  // namespace cellmill
