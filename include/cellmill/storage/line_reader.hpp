#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cellmill {

/// `plate7/matrix.mtx`: a file's name where many folders have one of that name.
[[nodiscard]] std::string name_with_folder(const std::filesystem::path& path);

/// The lines of a text file, plain or gzip, one after the other; the file is never held as a whole.
class LineReader {
 public:
  /// \throws Error(not_found) if there is no such file, Error(io) if it can't be read
  explicit LineReader(const std::filesystem::path& path);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// The next line without its end (\n or \r\n), good until the next call; nothing after the last.
  /// \throws Error(input) if gzip data is corrupt or ends early, or a line has no end
  [[nodiscard]] std::optional<std::string_view> next();

  /// Where the last line was, for messages: `plate7/matrix.mtx.gz: line 12`.
  [[nodiscard]] std::string location() const;

 private:
  struct File;
  [[nodiscard]] bool refill();

  std::string name_;
  std::unique_ptr<File> file_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  ///< of what is not yet given, in buffer_
  std::size_t end_ = 0;
  std::int64_t line_ = 0;
};

}  // namespace cellmill
