# Like wsgi.py, for puma and unicorn. It answers with what it read when it was loaded; /slow waits for its backend.
require "socket"

ANSWER = File.read("volume/answer")

run lambda { |env|
  slow = env["PATH_INFO"] == "/slow"
  body = slow ? TCPSocket.new("127.0.0.1", Integer(ENV["BACKEND"])).read : ANSWER
  [200, {"Content-Type" => "text/plain", "Content-Length" => body.bytesize.to_s}, [body]]
}
