#include "cellmill/anndata/validate.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "anndata/sparse_arrays.hpp"
#include "anndata/validate_arrays.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

std::string encoding_of(const Group& parent, const std::string& name) {
  const nlohmann::json attributes = parent.attributes(name);
  const auto found = attributes.find("encoding-type");
  return found != attributes.end() && found->is_string() ? found->get<std::string>() : "";
}

/// Elements are known by their paths; their opening and what holds a group together are steps of
/// their own.
constexpr const char* opening = " (opening)";

/// The length of a dataframe's index, whatever its columns are like.
std::int64_t frame_rows(const Group& frame) {
  const auto name = frame.attributes().value("_index", std::string("_index"));
  const auto index =
      frame.kind(name) == NodeKind::group ? frame.array(name + "/values") : frame.array(name);
  return index->info().shape.empty() ? 0 : index->info().shape[0];
}

class Validator {
 public:
  Validator(const Group& root, const ValidateOptions& options, Arena& arena,
            const ValidateEvents& events)
      : root_(root),
        options_(options),
        arena_(arena),
        faults_(root.location(), events),
        skipping_(!options.skip_until.empty()) {}

  void run() {
    walk(root_, "");
    element("shapes", [&] { check_shapes(); });
  }

 private:
  /// One element's checks under its name; left out if they were done before.
  template <class Body>
  bool element(const std::string& path, Body&& body) {
    if (skipping_) {
      if (path == options_.skip_until) skipping_ = false;
      return false;
    }
    faults_.begin_element(path);
    guarded(faults_, body);
    faults_.end_element();
    return !faults_.any();
  }

  /// Arrays first, then what holds them together: damage is told where it lies.
  bool walk(const Group& group, const std::string& path) {
    std::vector<std::string> names;
    bool sound = true;
    guarded(faults_, [&] { names = group.keys(); });
    for (const std::string& name : names) {
      const std::string child = path.empty() ? name : fmt::format("{}/{}", path, name);
      if (skipping_ && options_.skip_until == child + opening) {  // that it can't be is told
        skipping_ = false;
        continue;
      }
      NodeKind kind = NodeKind::none;
      std::unique_ptr<Group> member;
      const auto open = [&] {
        kind = group.kind(name);
        if (kind == NodeKind::group) member = group.group(name);
      };
      if (skipping_) {
        guarded(faults_, open);
      } else {
        sound = element(child + opening, open) && sound;
      }
      if (kind == NodeKind::array) {
        sound = element(child, [&] { check_array(group, name); }) && sound;
      } else if (member != nullptr) {
        sound = walk(*member, child) && sound;
      }
    }
    if (sound && !path.empty()) {
      sound = element(path + " (as a whole)", [&] { check_encoding(path); });
    }
    return sound;
  }

  void check_array(const Group& parent, const std::string& name) {
    if (encoding_of(parent, name) == "null") return;
    const auto array = parent.array(name);
    validate_array(*array, options_, arena_, faults_);
  }

  void check_encoding(const std::string& path) {
    const std::string encoding = encoding_of(root_, path);
    if (encoding == "csr_matrix" || encoding == "csc_matrix") {
      validate_sparse(*root_.group(path), encoding, faults_);
    } else if (encoding == "dataframe") {
      validate_frame(root_.group(path), faults_);
    }
  }

  /// Rows and columns of an element, as far as it has them.
  struct Shape {
    std::int64_t rows = 0;
    std::optional<std::int64_t> cols;
  };
  [[nodiscard]] std::optional<Shape> shape_of(const std::string& path) const {
    if (root_.kind(path) == NodeKind::array) {
      if (encoding_of(root_, path) == "null") return std::nullopt;
      const std::vector<std::int64_t> shape = root_.array(path)->info().shape;
      if (shape.empty()) return std::nullopt;
      return Shape{shape[0], shape.size() > 1 ? std::optional(shape[1]) : std::nullopt};
    }
    const std::string encoding = encoding_of(root_, path);
    if (encoding == "csr_matrix" || encoding == "csc_matrix") {
      const SparseShape shape = read_sparse_shape(*root_.group(path));
      return Shape{shape.rows, shape.cols};
    }
    if (encoding == "dataframe") return Shape{frame_rows(*root_.group(path)), std::nullopt};
    return std::nullopt;  // awkward arrays and whatever comes
  }

  void expect_shape(const std::string& path, std::int64_t rows, const char* rows_of,
                    std::optional<std::int64_t> cols, const char* cols_of) {
    guarded(faults_, [&] {
      const std::optional<Shape> found = shape_of(path);
      if (!found) return;
      const auto tell = [&](const char* what, std::int64_t there, std::int64_t expected,
                            const char* of) {
        if (there == expected) return;
        faults_.add(fmt::format("{}: {}: {} {} found, expected {}, the length of {}",
                                root_.location(), path, grouped(there), what, grouped(expected),
                                of));
      };
      tell("rows", found->rows, rows, rows_of);
      if (cols && found->cols) tell("columns", *found->cols, *cols, cols_of);
    });
  }

  void expect_members(const std::string& slot, std::int64_t rows, const char* rows_of,
                      std::optional<std::int64_t> cols, const char* cols_of) {
    if (root_.kind(slot) != NodeKind::group) return;
    for (const std::string& name : root_.group(slot)->keys()) {
      expect_shape(fmt::format("{}/{}", slot, name), rows, rows_of, cols, cols_of);
    }
  }

  void check_shapes() {
    for (const char* name : {"obs", "var"}) {
      if (root_.kind(name) == NodeKind::group) continue;
      return faults_.add(
          fmt::format("{}: not an AnnData: there is no group {}", root_.location(), name));
    }
    const std::int64_t n_obs = frame_rows(*root_.group("obs"));
    const std::int64_t n_vars = frame_rows(*root_.group("var"));
    if (root_.kind("X") != NodeKind::none) expect_shape("X", n_obs, "obs", n_vars, "var");
    expect_members("layers", n_obs, "obs", n_vars, "var");
    expect_members("obsm", n_obs, "obs", std::nullopt, "");
    expect_members("varm", n_vars, "var", std::nullopt, "");
    expect_members("obsp", n_obs, "obs", n_obs, "obs");
    expect_members("varp", n_vars, "var", n_vars, "var");
    if (root_.kind("raw/var") == NodeKind::group && root_.kind("raw/X") != NodeKind::none) {
      expect_shape("raw/X", n_obs, "obs", frame_rows(*root_.group("raw/var")), "raw/var");
    }
  }

  const Group& root_;
  const ValidateOptions& options_;
  Arena& arena_;
  Faults faults_;
  bool skipping_;
};

}  // namespace

void validate_anndata(const Group& root, const ValidateOptions& options, Arena& arena,
                      const ValidateEvents& events) {
  Validator(root, options, arena, events).run();
}

}  // namespace cellmill
