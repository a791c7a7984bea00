#include "cli/options/connection_options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

#include "base/error.h"
#include "base/file.h"
#include "cli/terminal/colour.h"

namespace popcorn::cli {

namespace {

constexpr std::size_t kMaxTokenFile = 4096;
constexpr std::size_t kMinToken = 16;
constexpr std::size_t kMaxToken = 256;

void check_token(const std::string& token, const std::string& source) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/=-";
  if (token.size() < kMinToken || token.size() > kMaxToken ||
      token.find_first_not_of(kAllowed) != std::string::npos) {
    throw InputError("token.form",
                     source + " must hold one token: 16 to 256 characters of A-Z a-z 0-9 . _ ~ + / = -");
  }
}

std::string read_token(const std::string& file) {
  const SecretBytes text = read_secret_file(file, {.what = "the token file",
                                                   .code = "token.permissions",
                                                   .max_bytes = kMaxTokenFile,
                                                   .group_may_reach = true});
  std::string token(text.view().begin(), text.view().end());
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  check_token(token, "The token file " + file);
  return token;
}

std::string wanted_token(const ConnectionOptions& options) {
  if (!options.token_file.empty()) return read_token(options.token_file);
  const char* given = std::getenv("POPCORN_TOKEN");
  if (given == nullptr || *given == '\0') return "";
  check_token(given, "The environment variable POPCORN_TOKEN");
  return given;
}

/// cpp-httplib says of a missing file only that the certificate is not trusted.
void check_readable(const std::string& file) {
  constexpr std::size_t kMaxPem = std::size_t{1} << 24;
  if (!file.empty()) read_file(file, kMaxPem);
}

bool is_loopback_url(const std::string& url) {
  for (const char* host : {"http://127.", "http://localhost", "http://[::1]"}) {
    if (url.starts_with(host)) return true;
  }
  return false;
}

}  // namespace

void add_connection_options(CLI::App& command, ConnectionOptions& options) {
  command.add_option("--server", options.server, "Address of the server, e.g. http://127.0.0.1:8080")
      ->required()
      ->type_name("URL");
  command
      .add_option("--token-file", options.token_file,
                  "File with the token that the server asks for; without it POPCORN_TOKEN is taken")
      ->type_name("FILE");
  command
      .add_option("--ca", options.ca_file,
                  "Authorities to trust for https (PEM); without it those of the system")
      ->type_name("FILE");
  command
      .add_option("--client-cert", options.client_certificate_file,
                  "Certificate for servers that ask for one (PEM)")
      ->type_name("FILE");
  command.add_option("--client-key", options.client_key_file, "Private key of --client-cert (PEM)")
      ->type_name("FILE");
  command.add_flag("--insecure-skip-verify", options.insecure_skip_verify,
                   "Take any certificate of the server: anybody in between can then change answers");
  command.add_option("--timeout", options.timeout_seconds, "Seconds that one round may take")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
}

service::ClientOptions client_options(const ConnectionOptions& options) {
  if (options.client_certificate_file.empty() != options.client_key_file.empty())
    throw UsageError("client.certificate", "--client-cert and --client-key belong together");
  for (const std::string& file : {options.ca_file, options.client_certificate_file, options.client_key_file})
    check_readable(file);
  service::ClientOptions client;
  client.token = wanted_token(options);
  const bool plain = options.server.starts_with("http://");
  if (plain && (!options.ca_file.empty() || !options.client_certificate_file.empty())) {
    throw UsageError("client.certificate",
                     "Certificates mean something with https:// only, not with " + options.server);
  }
  if (plain && !client.token.empty() && !is_loopback_url(options.server)) {
    throw UsageError("client.token", "A token is not sent without TLS to another machine: use https://");
  }
  if (options.insecure_skip_verify)
    std::cerr << "popcorn: " << coloured("warning:", Colour::yellow, STDERR_FILENO)
              << " the server's certificate is not verified\n";
  client.ca_file = options.ca_file;
  client.client_certificate_file = options.client_certificate_file;
  client.client_key_file = options.client_key_file;
  client.verify_certificate = !options.insecure_skip_verify;
  client.round_timeout_seconds = options.timeout_seconds;
  return client;
}

}  // namespace popcorn::cli
