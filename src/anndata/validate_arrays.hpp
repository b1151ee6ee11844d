#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "cellmill/anndata/validate.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

/// What the checks share: where faults go, and that one element does not report thousands.
class Faults {
 public:
  Faults(std::string file, const ValidateEvents& events)
      : file_(std::move(file)), events_(events) {}
  void begin_element(const std::string& path);
  void add(const std::string& message);
  /// The element at hand takes more memory than the process has.
  void add_too_large();
  void read(std::int64_t bytes);
  /// Says how many more there were than were told.
  void end_element();
  [[nodiscard]] bool any() const { return in_element_ > 0; }

 private:
  std::string file_;
  const ValidateEvents& events_;
  std::string element_;
  std::int64_t in_element_ = 0;
};

/// Runs a check; what it throws is a fault.
template <class Body>
void guarded(Faults& faults, Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    if (error.kind() == Error::Kind::stopped) throw;
    faults.add(error.what());
  } catch (const std::bad_alloc&) {
    faults.add_too_large();
  }
}

/// Decodes every chunk of an array, or reads all its strings.
void validate_array(const Array& array, const ValidateOptions& options, Arena& arena,
                    Faults& faults);

/// The arrays of a CSR or CSC matrix against each other and the shape. They have been decoded
/// without fault.
void validate_sparse(const Group& group, const std::string& encoding, Faults& faults);

/// Columns, codes, masks and names of a dataframe.
void validate_frame(std::unique_ptr<Group> group, Faults& faults);

}  // namespace cellmill
