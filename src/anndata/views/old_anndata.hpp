#pragma once

#include <map>
#include <memory>
#include <string>

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

/// Whether this is a table in one array, as anndata before 0.7 wrote obs, var, obsm and varm.
[[nodiscard]] bool is_table(const Element& element);

/// Such an obs or var as a dataframe: the first field is the index. \param categories of the
/// columns that are categorical, by the columns' names
[[nodiscard]] Node table_frame(const Element& table,
                               const std::map<std::string, Element>& categories = {});

/// Such an obsm or varm as a group of arrays.
[[nodiscard]] Node table_dict(const Element& table);

/// What `uns` knows of the columns of old tables: `louvain_categories` is for `louvain`.
struct OldCategories {
  std::map<std::string, Element> obs;  ///< by the column's name
  std::map<std::string, Element> var;
  NodeMap hidden;  ///< uns without them
};
[[nodiscard]] OldCategories find_old_categories(const Element& root);

/// A categorical column: codes in one place, categories in another.
[[nodiscard]] Node categorical_node(Node codes, Node categories, bool ordered);

}  // namespace cellmill
