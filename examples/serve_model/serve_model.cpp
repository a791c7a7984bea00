// serve_model MODEL.popcorn PORT: a whole server for clients on this machine, until SIGINT or SIGTERM.
#include <base/error.h>
#include <models/file/popcorn_file.h>
#include <protocols/session/served_model.h>
#include <service/server.h>

#include <csignal>
#include <iostream>
#include <string>
#include <thread>

int main(int count, char** arguments) try {
  if (count != 3) throw popcorn::UsageError("usage", "serve_model MODEL.popcorn PORT");
  sigset_t signals;  // for the thread below alone
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  popcorn::service::ServerOptions options;
  options.models = {popcorn::protocols::ServedModel::create(popcorn::models::read_network(arguments[1]))};
  options.port = static_cast<std::uint16_t>(std::stoul(arguments[2]));  // 0 takes a free one
  popcorn::service::Server server(options);
  const std::uint16_t port = server.bind();
  std::cout << "http://" << options.host << ':' << port << std::endl;

  std::thread end([&] {
    int number = 0;
    sigwait(&signals, &number);
    server.stop();
  });
  server.run();
  end.join();
  std::cout << server.statistics().sessions_finished << " inferences\n";
} catch (const popcorn::Error& error) {
  std::cerr << error.what() << " [" << error.code() << "]\n";
  return error.exit_code();
}
