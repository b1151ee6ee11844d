# Every third-party library, found once. Modules link them by these target names.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(TBB REQUIRED)
find_package(Eigen3 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(BLOSC REQUIRED IMPORTED_TARGET blosc)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(ISAL IMPORTED_TARGET libisal)
pkg_check_modules(DEFLATE REQUIRED IMPORTED_TARGET libdeflate)
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)

find_path(SPECTRA_INCLUDE_DIR Spectra/SymEigsSolver.h REQUIRED)
add_library(cellmill_spectra INTERFACE)
target_include_directories(cellmill_spectra SYSTEM INTERFACE ${SPECTRA_INCLUDE_DIR})
target_link_libraries(cellmill_spectra INTERFACE Eigen3::Eigen)

# HDF5: the parallel flavour goes with MPI, the serial one without it. Debian has a name for each; Spack and conda-forge
# have one, `hdf5`. MPICH: -DMPI_C_COMPILER=mpicc.mpich -DCELLMILL_HDF5=hdf5-mpich.
if(CELLMILL_MPI)
  find_package(MPI REQUIRED COMPONENTS C)
  set(CELLMILL_HDF5 hdf5-openmpi CACHE STRING "pkg-config's name of the HDF5 that was built with this MPI")
  pkg_search_module(HDF5 REQUIRED IMPORTED_TARGET ${CELLMILL_HDF5} hdf5)
  # Parallel HDF5's header brings MPI's; without this that would bring its old C++ classes, and need their library.
  set_property(TARGET PkgConfig::HDF5 MPI::MPI_C APPEND PROPERTY
               INTERFACE_COMPILE_DEFINITIONS OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
else()
  pkg_search_module(HDF5 REQUIRED IMPORTED_TARGET hdf5-serial hdf5)
endif()

# z5 (header-only) comes from the source package z5py; scripts/install-deps unpacks it.
set(CELLMILL_Z5_INCLUDE_DIR "${PROJECT_SOURCE_DIR}/.deps/z5/include" CACHE PATH "z5's headers")
if(EXISTS ${CELLMILL_Z5_INCLUDE_DIR}/z5/z5.hxx)
  set(CELLMILL_HAVE_Z5 ON)
else()
  set(CELLMILL_HAVE_Z5 OFF)
  message(STATUS "z5 not found in ${CELLMILL_Z5_INCLUDE_DIR}: building without it (scripts/install-deps fetches it)")
endif()
