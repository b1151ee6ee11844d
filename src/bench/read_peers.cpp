#include "bench/read_peers.hpp"

#include <nlohmann/json.hpp>
#include <string_view>

#include "cellmill/core/child_process.hpp"

namespace cellmill {

namespace {

constexpr const char* program = R"py(
import json, sys, time
files = sys.argv[1:]
zarr_store = not files[0].endswith((".h5ad", ".h5"))
if zarr_store:
    import zarr
    name = "zarr-python"
    try:
        import zarrs
        zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
        name = "zarr-python + zarrs"
    except ImportError:
        pass
    open_file = lambda path: zarr.open_group(path, mode="r")
else:
    import h5py
    name = "h5py"
    open_file = lambda path: h5py.File(path, "r")
def read():
    begin = time.perf_counter()
    for path in files:
        x = open_file(path)["X"]
        indptr = x["indptr"][:]
        for row in range(0, len(indptr) - 1, 20000):
            part = slice(int(indptr[row]), int(indptr[min(row + 20000, len(indptr) - 1)]))
            x["data"][part], x["indices"][part]
    return time.perf_counter() - begin
read()
print(json.dumps({name: min(read() for _ in range(2))}))
)py";

}  // namespace

std::map<std::string, double> read_by_python(const std::vector<std::filesystem::path>& files,
                                             const std::string& python) {
  if (python.empty() || files.empty()) return {};
  std::vector<std::string> command = {python, "-W", "ignore", "-c", program};
  for (const auto& file : files) command.push_back(file.string());
  std::string text;
  const ChildEnd end = run_child(command, {}, [&](std::string_view line) { text += line; });
  if (end.how != ChildEnd::How::exited || end.code != 0) return {};
  const nlohmann::json seconds = nlohmann::json::parse(text, nullptr, false);
  std::map<std::string, double> peers;
  if (!seconds.is_object()) return peers;
  for (const auto& [name, value] : seconds.items()) peers[name] = value.get<double>();
  return peers;
}

}  // namespace cellmill
