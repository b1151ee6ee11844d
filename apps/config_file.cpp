#include "config_file.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <istream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

/// A key of a file and its value, or values where it is a list.
struct Setting {
  std::string key;
  std::vector<std::string> values;
};

Error not_a_value(const std::string& key, const char* found) {
  return usage_error(fmt::format(
      "'{}' is {}; expected a string, a number, true or false, or a list of those", key, found));
}

std::string toml_text(const std::string& key, const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return fmt::format("{}", whole->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  throw not_a_value(key, node.is_table() ? "a table" : node.is_array() ? "a list" : "a date");
}

std::vector<Setting> read_toml(std::istream& file) {
  std::vector<Setting> settings;
  try {
    for (const auto& [key, node] : toml::parse(file)) {
      Setting setting{std::string(key.str()), {}};
      if (const toml::array* list = node.as_array()) {
        for (const toml::node& item : *list) setting.values.push_back(toml_text(setting.key, item));
      } else {
        setting.values.push_back(toml_text(setting.key, node));
      }
      settings.push_back(std::move(setting));
    }
  } catch (const toml::parse_error& error) {
    throw usage_error(
        fmt::format("line {}: {}", error.source().begin.line, std::string(error.description())));
  }
  return settings;
}

std::string yaml_text(const std::string& key, const YAML::Node& node) {
  if (node.IsScalar()) return node.Scalar();
  throw not_a_value(key, node.IsMap() ? "a mapping" : node.IsSequence() ? "a list" : "empty");
}

std::vector<Setting> read_yaml(std::istream& file) {
  std::vector<Setting> settings;
  try {
    const YAML::Node root = YAML::Load(file);
    if (root.IsNull()) return settings;
    if (!root.IsMap()) throw usage_error("expected lines of the form `option: value`");
    for (const auto& entry : root) {
      Setting setting{entry.first.Scalar(), {}};
      if (entry.second.IsSequence()) {
        for (const YAML::Node& item : entry.second) {
          setting.values.push_back(yaml_text(setting.key, item));
        }
      } else {
        setting.values.push_back(yaml_text(setting.key, entry.second));
      }
      settings.push_back(std::move(setting));
    }
  } catch (const YAML::Exception& error) {
    throw usage_error(fmt::format("line {}: {}", error.mark.line + 1, error.msg));
  }
  return settings;
}

/// The option that a key names, by its long name or as a positional argument; never --help or
/// --config.
const CLI::Option* option_of(const CLI::App& app, const std::string& key) {
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_configurable()) continue;
    if (option->get_lnames().empty() ? option->get_single_name() == key
                                     : option->check_lname(key)) {
      return option;
    }
  }
  return nullptr;
}

Error unknown_key(const CLI::App& app, const std::string& key) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_configurable()) names.push_back(option->get_single_name());
  }
  const std::vector<std::string> nearest = nearest_names(key, names, 2);
  return usage_error(
      fmt::format("'{}' is no option of {}{}", key, app.get_name(),
                  nearest.empty() ? fmt::format("; see {} --help", app.get_name())
                                  : fmt::format("; did you mean {}?", fmt::join(nearest, " or "))));
}

/// What a file sets, as CLI11 wants it.
class ConfigFile : public CLI::ConfigTOML {
 public:
  explicit ConfigFile(CLI::App& app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& file) const override {
    const std::string path = app_.get_config_ptr()->results().front();
    return with_context(path, [&] { return items(path, file); });
  }

 private:
  [[nodiscard]] std::vector<CLI::ConfigItem> items(const std::string& path,
                                                   std::istream& file) const {
    const std::string extension = std::filesystem::path(path).extension();
    const bool yaml = extension == ".yaml" || extension == ".yml";
    if (!yaml && extension != ".toml") {
      throw usage_error("a configuration file ends in .toml, .yaml or .yml");
    }
    std::vector<CLI::ConfigItem> items;
    std::set<std::string> seen;
    for (Setting& setting : yaml ? read_yaml(file) : read_toml(file)) {
      const CLI::Option* option = option_of(app_, setting.key);
      if (option == nullptr) throw unknown_key(app_, setting.key);
      if (!seen.insert(setting.key).second) {
        throw usage_error(fmt::format("'{}' is set twice", setting.key));
      }
      const bool flag = option->get_expected_min() == 0;
      const bool boolean = setting.values == std::vector<std::string>{"true"} ||
                           setting.values == std::vector<std::string>{"false"};
      if (flag && !boolean) {
        throw usage_error(fmt::format("'{}' is '{}'; expected true or false", setting.key,
                                      fmt::join(setting.values, ", ")));
      }
      if (setting.values.size() > 1 && option->get_expected_max() == 1) {
        throw usage_error(fmt::format("'{}' is a list; expected one value", setting.key));
      }
      // A flag that is off says nothing; CLI11 would run its callback all the same.
      if (flag && setting.values.front() == "false") continue;
      CLI::ConfigItem item;
      item.name = std::move(setting.key);
      item.inputs = std::move(setting.values);
      items.push_back(std::move(item));
    }
    return items;
  }

  CLI::App& app_;
};

}  // namespace

void add_config_option(CLI::App& app) {
  app.set_config("--config", "", "Options from a TOML or YAML file; the command line wins")
      ->type_name("FILE")
      ->group("Common options");
  app.config_formatter(std::make_shared<ConfigFile>(app));
}

}  // namespace cellmill
