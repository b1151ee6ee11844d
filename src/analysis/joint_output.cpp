#include "analysis/joint_output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cellmill/core/error.hpp"

namespace cellmill {

void check_output(const std::filesystem::path& path, int zarr_format) {
  const std::string extension = path.extension().string();
  if (extension != ".zarr" && extension != ".h5ad") {
    throw usage_error(
        fmt::format("{}: the output's name must end in .zarr or .h5ad", path.string()));
  }
  if (zarr_format != 2 && zarr_format != 3) throw usage_error("--zarr-format must be 2 or 3");
}

JointOutput::JointOutput(std::filesystem::path path, int zarr_format, IfExists if_exists,
                         Communicator& comm, Leftover leftover)
    : path_(std::move(path)),
      zarr_format_(zarr_format),
      comm_(comm),
      partial_(partial_path(path_)) {
  if (comm.rank() == 0) atomic_.emplace(path_, if_exists, leftover);
}

StoreFormat JointOutput::format() const {
  if (hdf5()) return StoreFormat::hdf5;
  return zarr_format_ == 2 ? StoreFormat::zarr2 : StoreFormat::zarr3;
}

std::unique_ptr<Group> JointOutput::open(OpenMode mode) const {
  return hdf5() ? open_hdf5(partial_, mode) : open_zarr(partial_, mode, format());
}

void JointOutput::create(std::span<FrameOutput> frames, Arena& arena,
                         const std::function<void(Group& root)>& make) {
  const auto write = [&](FrameOutput& frame, Range rows, const PulseControl& control) {
    if (!rows.empty()) frame.write(*root_, rows, arena, [&] { control.check(); });
  };
  with_pulse(comm_, [&](PulseControl& control) {
    if (comm_.rank() != 0) return;
    root_ = open(OpenMode::create);
    make(*root_);
    for (FrameOutput& frame : frames) frame.create(*root_, format());
    if (!hdf5()) return;
    for (FrameOutput& frame : frames) write(frame, {0, frame.n_rows()}, control);
    root_->flush();
    root_.reset();
  });
  if (hdf5()) {
    placed_ = open_parallel_rows(partial_);
    return;
  }
  with_pulse(comm_, [&](PulseControl& control) {
    if (comm_.rank() != 0) root_ = open(OpenMode::update);
    for (FrameOutput& frame : frames) {
      const std::int64_t unit = frame.unit_rows();
      const Range units = even_part((frame.n_rows() + unit - 1) / unit, comm_.size(), comm_.rank());
      write(frame, {units.begin * unit, std::min(units.end * unit, frame.n_rows())}, control);
    }
  });
}

void JointOutput::reopen() {
  if (hdf5()) {
    placed_ = open_parallel_rows(partial_);
  } else {
    with_pulse(comm_, [&](PulseControl&) { root_ = open(OpenMode::update); });
  }
}

void JointOutput::keep_partial() {
  if (atomic_) atomic_->keep_partial();
}

std::unique_ptr<RowOutput> JointOutput::rows(PulseControl& control, const std::string& name,
                                             std::size_t row_bytes,
                                             const std::vector<Range>& ranges,
                                             const UnitTasks& tasks, RangeSet done) {
  if (placed_) {
    return make_placed_output(*placed_, name, row_bytes,
                              ranges[static_cast<std::size_t>(comm_.rank())].begin, control);
  }
  return make_unit_output(root_->open_writer(name), row_bytes, ranges, comm_.rank(), tasks,
                          std::move(done));
}

void JointOutput::finish(const std::function<void(Group& root)>& last) {
  if (placed_) {
    placed_->close();
    placed_.reset();
  }
  const auto finish_output = [&](PulseControl&) {
    if (comm_.rank() != 0) {
      root_.reset();
      return;
    }
    if (!root_) root_ = open(OpenMode::update);
    if (last) last(*root_);
    root_->flush();
    root_.reset();
    if (!hdf5()) consolidate_zarr(partial_);
    atomic_->commit();
  };
  PulseOptions options;
  options.stop_requests = StopRequests::come_too_late;  // a whole output must not look stopped
  with_pulse(comm_, finish_output, options);
}

}  // namespace cellmill
