#pragma once

#include <memory>

#include "cellmill/storage/group.hpp"
#include "storage/byte_store.hpp"

namespace cellmill {

/// The store itself; or, if its root has consolidated metadata while no folder below has a document
/// of its own, a store in which those documents are where they belong. So what can be seen is
/// believed, not an index of it that may be old.
/// \param name the store's, for messages
/// \throws Error(input) for such metadata that make no sense, or that name what is not in the store
[[nodiscard]] std::shared_ptr<const ByteStore> with_consolidated(
    std::shared_ptr<const ByteStore> store, StoreFormat format, const std::string& name);

}  // namespace cellmill
