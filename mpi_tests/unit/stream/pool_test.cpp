#include "cellmill/stream/pool.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace cellmill {
namespace {

struct Buffer {
  std::int64_t bytes = 0;
  [[nodiscard]] std::int64_t held_bytes() const { return bytes; }
};

TEST(Pool, LendsAgainWhatCameBack) {
  Pool<Buffer> pool;
  const Buffer* first = nullptr;
  {
    const auto loan = pool.borrow();
    loan->bytes = 5;
    first = &*loan;
  }
  const auto again = pool.borrow();
  EXPECT_EQ(&*again, first);
  EXPECT_EQ(again->bytes, 5);
  const auto other = pool.borrow();
  EXPECT_NE(&*other, first);
  EXPECT_EQ(pool.held_bytes(), 5);
}

TEST(Pool, ALoanEndsOnce) {
  Pool<Buffer> pool;
  auto loan = pool.borrow();
  loan->bytes = 7;
  loan.end();
  loan.end();
  EXPECT_EQ(pool.held_bytes(), 7);
  EXPECT_EQ(pool.borrow()->bytes, 7);
}

TEST(Pool, KeepsNoMoreThanWasOnLoanAtOnce) {
  Pool<Buffer> pool;
  {
    const auto a = pool.borrow();
    const auto b = pool.borrow();
    const auto c = pool.borrow();
    a->bytes = b->bytes = c->bytes = 10;
  }
  EXPECT_EQ(pool.held_bytes(), 30);
  {
    const auto alone = pool.borrow();
    alone->bytes = 100;
  }
  EXPECT_EQ(pool.held_bytes(), 100) << "a large one alone drives the small ones out";
  {
    const auto large = pool.borrow();
    const auto small = pool.borrow();
    small->bytes = 10;
  }
  EXPECT_EQ(pool.held_bytes(), 110);
}

TEST(Pool, LoansMayBeMoved) {
  Pool<Buffer> pool;
  {
    std::optional<Pool<Buffer>::Loan> kept;
    kept.emplace(pool.borrow());
    (*kept)->bytes = 3;
  }
  EXPECT_EQ(pool.held_bytes(), 3);
}

}  // namespace
}  // namespace cellmill
