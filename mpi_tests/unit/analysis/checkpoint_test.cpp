#include "analysis/checkpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <numeric>
#include <string>
#include <vector>

#include "analysis/checkpoint_file.hpp"
#include "analysis/pass_checkpoint.hpp"
#include "cellmill/core/error.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

CheckpointHead a_head() {
  CheckpointHead head;
  head.run = "run";
  head.mine = {3, 9};
  head.added.add({3, 5});
  head.added.add({7, 8});
  head.rows["x"].add({0, 4096});
  return head;
}

TEST(CheckpointFile, ReadsBackWhatWasWritten) {
  const TempFolder folder;
  const std::vector<std::int64_t> sums = {1, -2, 3};
  CheckpointWriter writer(folder.path() / "a.1.0");
  writer.write<std::int64_t>("sums", sums);
  writer.write<double>("nothing", {});
  EXPECT_FALSE(fs::exists(folder.path() / "a.1.0"));
  writer.commit(a_head());
  const CheckpointReader reader(folder.path() / "a.1.0");
  EXPECT_EQ(reader.head().run, "run");
  EXPECT_EQ(reader.head().mine, (Range{3, 9}));
  EXPECT_EQ(reader.head().added, a_head().added);
  EXPECT_EQ(reader.head().rows, a_head().rows);
  EXPECT_EQ(reader.read<std::int64_t>("sums", 3), sums);
  EXPECT_THAT(reader.read<double>("nothing", 0), IsEmpty());
  EXPECT_FALSE(reader.has("other"));
  EXPECT_THAT([&] { (void)reader.read<std::int64_t>("sums", 4); },
              ThrowsMessage<Error>(HasSubstr("damaged")));
}

TEST(CheckpointFile, WhatIsNotCommittedIsNotThere) {
  const TempFolder folder;
  { const CheckpointWriter writer(folder.path() / "a.1.0"); }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(CheckpointFile, EveryByteThatChangesIsNoticed) {
  const TempFolder folder;
  const std::vector<std::int64_t> sums = {1, -2, 3};
  const fs::path path = folder.path() / "a.1.0";
  CheckpointWriter writer(path);
  writer.write<std::int64_t>("sums", sums);
  writer.commit(a_head());
  std::ifstream file(path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  const auto read = [&](std::string bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    (void)CheckpointReader(path).read<std::int64_t>("sums", 3);
  };
  read(whole);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    EXPECT_THROW(read(bytes), Error) << at;
    EXPECT_THROW(read(whole.substr(0, at)), Error) << at;
  }
}

// Segments of 10 cells each; the pass adds up the numbers of the segments it has seen.
// ------------------------------------------------------------------------------------------------

constexpr std::int64_t n_segments = 13;

CellPlan plan_of(int ranks, int rank) {
  CellPlan plan;
  for (std::int64_t at = 0; at < n_segments; ++at) {
    plan.segments.push_back({0, {at * 10, at * 10 + 10}, 0});
    plan.kept_before.push_back(at * 7);  // 7 of them are kept
  }
  plan.kept_before.push_back(n_segments * 7);
  for (int r = 0; r < ranks; ++r) plan.shards.push_back(even_part(n_segments, ranks, r));
  plan.mine = plan.shards[static_cast<std::size_t>(rank)];
  return plan;
}

/// What an attempt found to do and had in the end, over its ranks.
struct Attempt {
  std::vector<std::int64_t> todo;  ///< segments, over all
  std::int64_t sum = 0;
  std::vector<double> cell_values;
  std::vector<std::int64_t> segment_values;
};

/// An attempt that each rank leaves after `most` segments.
Attempt attempt(const fs::path& folder, Resume resume, int ranks, std::size_t most,
                const std::string& fingerprint = "{}") {
  Attempt all;
  std::mutex mutex;
  std::vector<std::vector<double>> cells(static_cast<std::size_t>(ranks));
  std::vector<std::vector<std::int64_t>> values(static_cast<std::size_t>(ranks));
  run_as_threads(ranks, [&](Communicator& comm) {
    RunOptions options;
    options.checkpoint = folder;
    options.resume = resume;
    const Checkpoint checkpoint(options, fingerprint, comm);
    const CellPlan plan = plan_of(ranks, comm.rank());
    std::int64_t sum = 0;
    std::vector<double> cell_values(static_cast<std::size_t>(plan.mine.size() * 7));
    std::vector<std::int64_t> segment_values(static_cast<std::size_t>(plan.mine.size()));
    PassParts parts;
    parts.name = "counts";
    parts.save = [&](CheckpointWriter& file) { file.write<std::int64_t>("sum", {&sum, 1}); };
    parts.absorb = [&](const CheckpointReader& file) {
      sum += file.read<std::int64_t>("sum", 1).front();
    };
    parts.cell_values = &cell_values;
    parts.segment_values = &segment_values;
    PassCheckpoint pass(&checkpoint, plan, comm, std::move(parts));
    pass.restore();
    std::size_t done = 0;
    for (const std::int64_t at : pass.todo()) {
      {
        const std::lock_guard lock(mutex);
        all.todo.push_back(plan.mine.begin + at);
      }
      if (done++ == most) break;
      pass.add(at, [&] {
        const std::int64_t segment = plan.mine.begin + at;
        sum += 1 + segment;
        segment_values[static_cast<std::size_t>(at)] = 100 + segment;
        for (std::int64_t cell = 0; cell < 7; ++cell) {
          cell_values[static_cast<std::size_t>(at * 7 + cell)] =
              static_cast<double>(segment * 7 + cell);
        }
      });
      pass.save();
    }
    const std::lock_guard lock(mutex);
    all.sum += sum;
    cells[static_cast<std::size_t>(comm.rank())] = cell_values;
    values[static_cast<std::size_t>(comm.rank())] = segment_values;
  });
  for (const auto& of_rank : cells) {
    all.cell_values.insert(all.cell_values.end(), of_rank.begin(), of_rank.end());
  }
  for (const auto& of_rank : values) {
    all.segment_values.insert(all.segment_values.end(), of_rank.begin(), of_rank.end());
  }
  std::sort(all.todo.begin(), all.todo.end());
  return all;
}

void expect_whole(const Attempt& last) {
  EXPECT_EQ(last.sum, n_segments * (n_segments + 1) / 2);
  std::vector<double> cells(n_segments * 7);
  std::iota(cells.begin(), cells.end(), 0.0);
  EXPECT_EQ(last.cell_values, cells);
  std::vector<std::int64_t> values(n_segments);
  std::iota(values.begin(), values.end(), 100);
  EXPECT_EQ(last.segment_values, values);
}

TEST(PassCheckpoint, EachSegmentIsDoneOnceWhateverTheRanksOfTheAttempts) {
  const std::vector<std::vector<int>> histories = {
      {1, 1}, {4, 1}, {1, 4}, {3, 2, 5, 1}, {2, 20, 3}};
  for (const std::vector<int>& ranks : histories) {
    const TempFolder folder;
    std::size_t done = 0;
    for (std::size_t life = 0; life + 1 < ranks.size(); ++life) {
      const Attempt one = attempt(folder.path() / "ck", Resume::yes, ranks[life], 1);
      done += static_cast<std::size_t>(
          std::min<std::int64_t>(ranks[life], static_cast<std::int64_t>(n_segments - done)));
    }
    const Attempt last = attempt(folder.path() / "ck", Resume::yes, ranks.back(), n_segments);
    EXPECT_EQ(last.todo.size(), n_segments - done);
    expect_whole(last);
    EXPECT_THAT(attempt(folder.path() / "ck", Resume::yes, 2, n_segments).todo, IsEmpty());
  }
}

TEST(PassCheckpoint, AStragglerOfAnEarlierAttemptIsNotLookedAt) {
  const TempFolder folder;
  (void)attempt(folder.path() / "ck", Resume::no, 2, 2);
  fs::copy(folder.path() / "ck", folder.path() / "straggler");
  (void)attempt(folder.path() / "ck", Resume::yes, 3, 1);
  for (const auto& entry : fs::directory_iterator(folder.path() / "straggler")) {
    const std::string name = entry.path().filename();
    if (name.starts_with("counts.1")) fs::copy(entry.path(), folder.path() / "ck" / name);
  }
  expect_whole(attempt(folder.path() / "ck", Resume::yes, 2, n_segments));
}

TEST(PassCheckpoint, OfAnAttemptThatEndedBeforeItCountedTheOneBeforeCounts) {
  const TempFolder folder;
  (void)attempt(folder.path() / "ck", Resume::no, 2, 2);
  fs::copy(folder.path() / "ck", folder.path() / "before");
  (void)attempt(folder.path() / "ck", Resume::yes, 3, 1);
  // As if it had been killed before the note of which attempt counts was replaced.
  for (const auto& entry : fs::directory_iterator(folder.path() / "before")) {
    fs::copy(entry.path(), folder.path() / "ck" / entry.path().filename(),
             fs::copy_options::overwrite_existing);
  }
  expect_whole(attempt(folder.path() / "ck", Resume::yes, 4, n_segments));
}

TEST(PassCheckpoint, AFileThatHasWhatAnotherHasIsDamage) {
  const TempFolder folder;
  (void)attempt(folder.path() / "ck", Resume::no, 2, 2);
  fs::copy(folder.path() / "ck" / "counts.1.0", folder.path() / "ck" / "counts.1.1",
           fs::copy_options::overwrite_existing);
  EXPECT_THAT([&] { (void)attempt(folder.path() / "ck", Resume::yes, 1, 1); },
              ThrowsMessage<Error>(HasSubstr("counts.1.1: the checkpoint is damaged")));
}

TEST(PassCheckpoint, WithoutACheckpointEverythingIsToBeDone) {
  run_as_threads(2, [&](Communicator& comm) {
    const CellPlan plan = plan_of(2, comm.rank());
    PassParts parts;
    parts.name = "counts";
    PassCheckpoint pass(nullptr, plan, comm, std::move(parts));
    pass.restore();
    EXPECT_EQ(static_cast<std::int64_t>(pass.todo().size()), plan.mine.size());
    EXPECT_EQ(pass.cells_of_all(), n_segments * 7);
    EXPECT_EQ(pass.cells_of_mine(), plan.mine.size() * 7);
    pass.save();
  });
}

TEST(Checkpoint, GoesOnOnlyWithTheSameInputsAndOptions) {
  const TempFolder folder;
  (void)attempt(folder.path() / "ck", Resume::no, 2, 2, R"({"n":1})");
  EXPECT_THAT([&] { (void)attempt(folder.path() / "ck", Resume::yes, 2, 2, R"({"n":2})"); },
              ThrowsMessage<Error>(HasSubstr("n: found 1, now 2")));
  EXPECT_THAT([&] { (void)attempt(folder.path() / "ck", Resume::no, 2, 2, R"({"n":1})"); },
              ThrowsMessage<Error>(HasSubstr("--resume goes on with it")));
  expect_whole(attempt(folder.path() / "ck", Resume::yes, 1, n_segments, R"({"n":1})"));
}

TEST(Checkpoint, ItsFolderMustBeAFolder) {
  const TempFolder folder;
  std::ofstream(folder.path() / "file") << "text";
  EXPECT_THAT([&] { (void)attempt(folder.path() / "file", Resume::no, 2, 2); },
              ThrowsMessage<Error>(HasSubstr("--checkpoint")));
}

}  // namespace
}  // namespace cellmill
