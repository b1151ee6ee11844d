#pragma once

#include <memory>

#include "anndata/views/view_node.hpp"

namespace cellmill {

/// Whether a store needs the view: anndata before 0.8 wrote it, or something that gave no
/// encodings.
[[nodiscard]] bool is_old_anndata(const Group& root);

/// A store of anndata before 0.8, or one without encoding attributes, as anndata reads it today.
[[nodiscard]] Node old_anndata(const std::shared_ptr<const Group>& root);

// Its parts
// ----------------------------------------------------------------------------------------

/// An element with the encoding it would have today: what its attributes say, or what it looks
/// like.
[[nodiscard]] Node modern_node(const Element& element);

/// A dataframe in a group: of encoding 0.1.0, 0.2.0 or none.
[[nodiscard]] Node modern_frame(const Element& element);

/// A categorical column: codes in one place, categories in another.
[[nodiscard]] Node categorical_node(Node codes, Node categories, bool ordered);

}  // namespace cellmill
