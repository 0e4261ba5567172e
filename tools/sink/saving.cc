#include "tools/sink/saving.h"

#include <fcntl.h>

#include <utility>

namespace sluice::tools::sink {

Saving::Saving(io::Proactor& proactor, const std::string& directory, const std::string& name,
               std::string text, void* owner, Done done)
    : proactor_(proactor), owner_(owner), done_(done), text_(std::move(text)) {
  rename_.to = directory + "/" + name;
  open_.path = rename_.from = directory + "/." + name;
  open_.flags = O_WRONLY | O_CREAT | O_TRUNC;
  open_.mode = 0644;
  open_.bind<&Saving::opened>(this);
  write_.bind<&Saving::written>(this);
  close_.bind<&Saving::closed>(this);
  rename_.bind<&Saving::renamed>(this);
  proactor_.submit(open_);
}

void Saving::opened(io::Open&, const io::Completion& completion) {
  if (completion.result < 0) return done_(owner_, completion.result);
  write_.file = close_.file = open_.file;
  write_.bytes = std::as_bytes(std::span(text_));
  proactor_.submit(write_);
}

void Saving::written(io::Write&, const io::Completion& completion) {
  result_ = completion.result;
  proactor_.submit(close_);
}

void Saving::closed(io::CloseFile&, const io::Completion&) {
  if (result_ < 0) return done_(owner_, result_);
  proactor_.submit(rename_);
}

void Saving::renamed(io::Rename&, const io::Completion& completion) {
  done_(owner_, completion.result);
}

}  // namespace sluice::tools::sink
