#include "cli/doctor/connection_findings.h"

#include <chrono>

#include "base/error.h"
#include "cli/terminal/output.h"
#include "service/store/shared_secret.h"
#include "service/store/shared_store.h"

namespace popcorn::cli {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Findings server_findings(const ConnectionOptions& connection) {
  if (connection.server.empty()) return {};
  try {
    service::Client client(connection.server, client_options(connection));
    const auto start = std::chrono::steady_clock::now();
    const std::vector<std::string> names = client.models();
    const double first = seconds_since(start);
    const auto again = std::chrono::steady_clock::now();
    client.models();
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    const std::string tls = connection.server.starts_with("https://") && !connection.insecure_skip_verify
                                ? ", its certificate is trusted"
                                : "";
    return {{"server", Verdict::good,
             connection.server + " answers in " + human_seconds(first) + ", over the open connection in " +
                 human_seconds(seconds_since(again)) + tls + "; it serves " + list}};
  } catch (const Error& error) {
    return {{"server", Verdict::problem, error.what()}};
  }
}

Findings redis_findings(const std::string& url, const std::string& password_file) {
  if (url.empty()) return {};
  try {
    const auto start = std::chrono::steady_clock::now();
    service::SharedStoreOptions store;
    store.url = url;
    store.password = service::read_store_password(password_file);
    service::open_shared_store(store, [](const service::SessionInfo&, ByteView) { return nullptr; });
    return {{"store", Verdict::good, url + " answers in " + human_seconds(seconds_since(start))}};
  } catch (const Error& error) {
    return {{"store", Verdict::problem, error.what()}};
  }
}

}  // namespace popcorn::cli
