#include "cellmill/comm/mpi.hpp"

namespace cellmill {

std::unique_ptr<Communicator> make_mpi_communicator(const MpiOptions&) {
  return make_self_communicator();
}

bool have_mpi() { return false; }

}  // namespace cellmill
