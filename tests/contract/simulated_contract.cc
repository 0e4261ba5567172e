#include <vector>

#include "tests/contract/proactor_contract.h"
#include "tests/sim/world/world.h"

namespace sluice::io::contract {
namespace {

class SimulatedWorld final : public ProactorWorld {
 public:
  explicit SimulatedWorld(unsigned proactors) : world_(20260101) {
    sim::Process& process = world_.start();
    for (unsigned i = 0; i < proactors; ++i) {
      sim::SimulatedProactor& proactor = process.proactor();
      proactors_.push_back(&proactor);
      proactor.drive([&proactor] { proactor.wait(never, 64); });
    }
    world_.disk().put_directory("/scratch");
    world_.disk().put("/full", "");
    world_.disk().fill("/full");
    world_.disk().put_directory("/forbidden");
    world_.disk().forbid("/forbidden");
    world_.network().set_reach(black_hole(), sim::Reach::black_hole);
  }

  Proactor& proactor(size_t index) override { return *proactors_.at(index); }
  bool advance_until(const std::function<bool()>& condition, Duration limit) override {
    return world_.run_until(condition, world_.now() + limit);
  }
  std::string scratch() override { return "/scratch"; }
  SocketAddress black_hole() override { return *SocketAddress::parse("192.0.2.1:25"); }
  std::string full_file() override { return "/full"; }
  std::string forbidden_directory() override { return "/forbidden"; }

 private:
  sim::World world_;
  std::vector<sim::SimulatedProactor*> proactors_;
};

INSTANTIATE_TEST_SUITE_P(Simulated, ProactorContract,
                         testing::Values(WorldKind{
                             "simulated", [](unsigned proactors) -> std::unique_ptr<ProactorWorld> {
                               return std::make_unique<SimulatedWorld>(proactors);
                             }}));

}  // namespace
}  // namespace sluice::io::contract
