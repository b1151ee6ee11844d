#include "storage/zarr_consolidated.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "cellmill/core/error.hpp"
#include "storage/element_path.hpp"
#include "storage/json_file.hpp"
#include "storage/zarr_group.hpp"

namespace cellmill {

namespace {

using nlohmann::json;

/// Documents by key over a store of chunks.
class ConsolidatedStore final : public ByteStore {
 public:
  ConsolidatedStore(std::shared_ptr<const ByteStore> chunks,
                    std::map<std::string, std::string> documents)
      : chunks_(std::move(chunks)), documents_(std::move(documents)) {}

  [[nodiscard]] std::string place(const std::string& key) const override {
    return chunks_->place(key);
  }
  [[nodiscard]] bool exists(const std::string& key) const override {
    return documents_.contains(key) || chunks_->exists(key);
  }
  [[nodiscard]] std::int64_t size(const std::string& key) const override {
    const auto found = documents_.find(key);
    return found == documents_.end() ? chunks_->size(key)
                                     : static_cast<std::int64_t>(found->second.size());
  }
  [[nodiscard]] bool read_into(const std::string& key, std::int64_t most,
                               Bytes& out) const override {
    const auto found = documents_.find(key);
    if (found == documents_.end()) return chunks_->read_into(key, most, out);
    const auto bytes = std::as_bytes(std::span(found->second));
    out.assign(bytes.begin(), bytes.end());
    return true;
  }
  [[nodiscard]] std::unique_ptr<ByteSource> open(const std::string& key) const override {
    return chunks_->open(key);
  }
  [[nodiscard]] std::vector<std::string> folders(const std::string& key) const override {
    const std::string prefix = key.empty() ? key : key + "/";
    std::set<std::string> names;
    for (auto at = documents_.lower_bound(prefix);
         at != documents_.end() && at->first.starts_with(prefix); ++at) {
      const std::size_t slash = at->first.find('/', prefix.size());
      if (slash != std::string::npos) {
        names.insert(at->first.substr(prefix.size(), slash - prefix.size()));
      }
    }
    return {names.begin(), names.end()};
  }

 private:
  std::shared_ptr<const ByteStore> chunks_;
  std::map<std::string, std::string> documents_;
};

std::map<std::string, std::string> read_documents(const ByteStore& store, StoreFormat format,
                                                  const std::string& name) {
  std::map<std::string, std::string> documents;
  const bool v2 = format == StoreFormat::zarr2;
  json document = read_json(store, v2 ? ".zmetadata" : "zarr.json").value_or(json::object());
  if (!document.is_object()) return documents;
  if (!v2) document = document.value("consolidated_metadata", json());
  if (!document.is_object()) return documents;
  const json listed = document.value("metadata", json::object());
  if (!listed.is_object()) return documents;
  const std::string location = name + (v2 ? ": .zmetadata" : ": zarr.json");
  for (const auto& [key, node] : listed.items()) {
    check_element_name(location, key);
    documents[v2 ? key : join_key(key, "zarr.json")] = json_text(node);
  }
  return documents;
}

bool has_own_documents(const ByteStore& store, StoreFormat format) {
  try {
    return !zarr_children(store, "", format).empty();
  } catch (const Error&) {
    return false;  // a folder that may be entered but not listed
  }
}

}  // namespace

std::shared_ptr<const ByteStore> with_consolidated(std::shared_ptr<const ByteStore> store,
                                                   StoreFormat format, const std::string& name) {
  if (has_own_documents(*store, format)) return store;
  std::map<std::string, std::string> documents = read_documents(*store, format, name);
  const bool any = std::any_of(documents.begin(), documents.end(), [](const auto& entry) {
    return entry.first.find('/') != std::string::npos;
  });
  if (!any) return store;
  return std::make_shared<ConsolidatedStore>(std::move(store), std::move(documents));
}

}  // namespace cellmill
