// include: [conf.d/*.yaml]: more files with upstreams and sites.
#pragma once

#include <memory>
#include <vector>

#include "base/options.h"
#include "config/environment.h"

namespace weir::config {

// The trees of one configuration. Nodes of an included file are moved into the main tree; they
// still point to the names and parents of their own document, so all live as long as the build.
using Documents = std::vector<std::unique_ptr<options::Document>>;

// Reads, substitutes and merges what the main file, documents[0], includes, and appends the
// documents. What is wrong is reported where it stands, in whichever file; names that two files
// define are errors. Bounded in files and bytes.
void include_files(Documents& documents, const Environment& environment,
                   options::Problems& problems);

}  // namespace weir::config
