#include "analysis/exchange.hpp"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "cellmill/core/log.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

constexpr double worth_telling = 1.0;  ///< seconds

}  // namespace

Exchange::Exchange(RunContext& run, std::string what, Within within)
    : run_(run),
      what_(std::move(what)),
      within_(within),
      before_(run.comm.cost()),
      exceptions_(std::uncaught_exceptions()) {
  log_debug(fmt::format("exchange of {} begins", what_));
}

Exchange::~Exchange() {
  const int size = run_.comm.size();
  if (size == 1 || std::uncaught_exceptions() > exceptions_) return;
  const Communicator::Cost& now = run_.comm.cost();
  RunSummary::Exchange exchange{run_.comm.rank(), what_, now.bytes - before_.bytes,
                                now.waiting - before_.waiting, now.moving - before_.moving};
  const double seconds = exchange.waiting + exchange.moving;
  if (within_ == Within::last_pass && !run_.timings.empty()) {
    run_.timings.back().seconds += seconds;
    run_.timings.back().communicating += seconds;
  }
  if (exchange.rank == 0 && seconds > worth_telling) {
    log_info(
        fmt::format("rank 0 of {} waited {} for others in the exchange of {} ({}): {} until "
                    "all were there, {} for the bytes",
                    size, human_seconds(seconds), what_, human_bytes(exchange.bytes),
                    human_seconds(exchange.waiting), human_seconds(exchange.moving)));
  }
  run_.exchanges.push_back(std::move(exchange));
}

}  // namespace cellmill
