#include "io/proactor.h"

namespace sluice::io {

int32_t run(Proactor& proactor, Op& op) {
  struct Outcome {
    bool done = false;
    int32_t result = 0;
    void completed(Op&, const Completion& completion) {
      done = !completion.more;
      result = completion.result;
    }
  } outcome;
  op.bind<&Outcome::completed>(&outcome);
  proactor.submit(op);
  while (!outcome.done) proactor.wait(never, 64);
  op.callback = nullptr;
  return outcome.result;
}

}  // namespace sluice::io
