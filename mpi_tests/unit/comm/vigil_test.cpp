#include "comm/vigil.hpp"

#include <gtest/gtest.h>

namespace cellmill {
namespace {

using namespace std::chrono_literals;

/// A wait in steps of 200 ms.
class Wait {
 public:
  Wait(int rank, int size) : vigil_(rank, size, 20s) { vigil_.begin(now_); }
  Vigil& vigil() { return vigil_; }
  Vigil::Turn step(std::chrono::milliseconds by = 200ms) {
    now_ += by;
    return vigil_.turn(now_);
  }
  /// Steps until a rank counts as dead, at most for a minute.
  Vigil::Turn until_silent() {
    Vigil::Turn turn;
    for (int i = 0; i < 300 && !turn.silent; ++i) turn = step();
    return turn;
  }

 private:
  Vigil vigil_;
  Vigil::Clock::time_point now_{};
};

TEST(Vigil, SpeaksOnceASecondAndNotInAShortWait) {
  Wait wait(1, 2);
  int spoken = 0;
  for (int i = 0; i < 4; ++i) spoken += wait.step().speak ? 1 : 0;
  EXPECT_EQ(spoken, 0);
  for (int i = 0; i < 21; ++i) spoken += wait.step().speak ? 1 : 0;
  EXPECT_EQ(spoken, 5);
}

TEST(Vigil, RankZeroNamesWhoIsSilent) {
  Wait wait(0, 4);
  for (int i = 0; i < 75; ++i) {
    EXPECT_FALSE(wait.step().silent);
    wait.vigil().heard(1);
    wait.vigil().heard(3);
  }
  const Vigil::Turn turn = wait.until_silent();
  ASSERT_TRUE(turn.silent);
  EXPECT_EQ(*turn.silent, 2);
  EXPECT_GT(turn.quiet, 20s);
  EXPECT_LT(turn.quiet, 21s);
}

TEST(Vigil, OthersOnlyLookAtRankZeroAndLaterThanItLooksAtThem) {
  Wait wait(2, 4);
  const Vigil::Turn turn = wait.until_silent();
  ASSERT_TRUE(turn.silent);
  EXPECT_EQ(*turn.silent, 0);
  EXPECT_GT(turn.quiet, 22s);
}

TEST(Vigil, ASuspendedProcessBlamesNobody) {
  Wait wait(0, 2);
  EXPECT_FALSE(wait.step(std::chrono::hours(1)).silent);
  EXPECT_FALSE(wait.step().silent);
}

TEST(Vigil, AWaitBeginsAnew) {
  Wait wait(0, 2);
  for (int i = 0; i < 99; ++i) (void)wait.step();
  wait.vigil().begin({});
  EXPECT_FALSE(wait.vigil().turn(Vigil::Clock::time_point{} + 1s).silent);
}

TEST(Vigil, ARankAloneHasNobodyToMiss) {
  Wait wait(0, 1);
  EXPECT_FALSE(wait.until_silent().silent);
}

}  // namespace
}  // namespace cellmill
