#include "base/cpus.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace weir {
namespace {

// A root folder with the files that the kernel would show.
class FakeRoot {
 public:
  FakeRoot() {
    char name[] = "/tmp/weir-cpus-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~FakeRoot() { std::filesystem::remove_all(path_); }

  void write(const std::string& file, const std::string& text) {
    const std::filesystem::path target = path_ + file;
    std::filesystem::create_directories(target.parent_path());
    std::ofstream(target) << text;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST_CASE("cpus: without cgroups there is no quota") {
  const FakeRoot root;
  CHECK(cgroup_cpus(root.path()) == 0);
}

TEST_CASE("cpus: cgroup v2 quotas are rounded up") {
  FakeRoot root;
  root.write("/proc/self/cgroup", "0::/app.slice/weir.service\n");
  const std::string file = "/sys/fs/cgroup/app.slice/weir.service/cpu.max";
  root.write(file, "max 100000\n");
  CHECK(cgroup_cpus(root.path()) == 0);
  root.write(file, "200000 100000\n");
  CHECK(cgroup_cpus(root.path()) == 2);
  root.write(file, "150000 100000\n");
  CHECK(cgroup_cpus(root.path()) == 2);
  root.write(file, "1000 100000\n");
  CHECK(cgroup_cpus(root.path()) == 1);
  root.write(file, "300000\n");
  CHECK(cgroup_cpus(root.path()) == 3);
  root.write(file, "nonsense\n");
  CHECK(cgroup_cpus(root.path()) == 0);
}

TEST_CASE("cpus: the tightest quota of all parents holds") {
  FakeRoot root;
  root.write("/proc/self/cgroup", "0::/a/b\n");
  root.write("/sys/fs/cgroup/a/b/cpu.max", "800000 100000\n");
  root.write("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
  root.write("/sys/fs/cgroup/cpu.max", "500000 100000\n");
  CHECK(cgroup_cpus(root.path()) == 3);
}

TEST_CASE("cpus: in a container the own group is mounted as the root") {
  FakeRoot root;
  root.write("/proc/self/cgroup", "0::/\n");
  root.write("/sys/fs/cgroup/cpu.max", "400000 100000\n");
  CHECK(cgroup_cpus(root.path()) == 4);
}

TEST_CASE("cpus: cgroup v1 quotas count where v2 has none") {
  FakeRoot root;
  root.write("/proc/self/cgroup",
             "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n3:cpuset:/docker/x\n0::/docker/x\n");
  const std::string folder = "/sys/fs/cgroup/cpu,cpuacct/docker/x";
  root.write(folder + "/cpu.cfs_period_us", "50000\n");
  root.write(folder + "/cpu.cfs_quota_us", "-1\n");
  CHECK(cgroup_cpus(root.path()) == 0);
  root.write(folder + "/cpu.cfs_quota_us", "125000\n");
  CHECK(cgroup_cpus(root.path()) == 3);
  // The controller's own mount, as systems with a link per controller have it.
  root.write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  root.write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
  CHECK(cgroup_cpus(root.path()) == 2);
}

TEST_CASE("cpus: a process may always use one CPU") { CHECK(usable_cpus() >= 1); }

}  // namespace
}  // namespace weir
