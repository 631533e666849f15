package org.logstash;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import sun.misc.Signal;

/**
 * Stands in for Logstash, whose package cannot be had: the same main class, a command line of the same shape, and the answer to
 * SIGHUP that its documentation and its runner give ({@code logstash-core/lib/logstash/runner.rb}): at the end of its start it
 * takes the signal, and then reads its pipelines again on each. Until then the signal is the JVM's, which ends on it.
 *
 * <p>{@code org.logstash.Logstash --path.config DIRECTORY --api.http.port PORT}. The start takes as long as reading the file that
 * {@code HOLD} in the environment names.
 */
public final class Logstash {
    private static volatile String pipelines;

    public static void main(String[] arguments) throws IOException {
        Path config = Path.of(option(arguments, "--path.config"));
        int port = Integer.parseInt(option(arguments, "--api.http.port"));
        Path hold = Path.of(System.getenv("HOLD"));
        if (Files.exists(hold)) {
            Files.readString(hold);
        }
        pipelines = read(config);
        Signal.handle(new Signal("HUP"), signal -> {
            System.out.println("SIGHUP received.");
            try {
                pipelines = read(config);
                System.out.println("Pipelines running");
            } catch (IOException error) {
                System.out.println(error);
            }
        });
        HttpServer api = HttpServer.create(new InetSocketAddress(port), 0);
        api.createContext("/", exchange -> {
            exchange.sendResponseHeaders(200, -1);
            exchange.close();
        });
        api.createContext("/_node/pipelines", exchange -> {
            byte[] body = pipelines.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        api.start();
    }

    private static String option(String[] arguments, String name) {
        return arguments[List.of(arguments).indexOf(name) + 1];
    }

    /** The directory's files one after the other, in the order of their names. */
    private static String read(Path directory) throws IOException {
        List<Path> files;
        try (Stream<Path> entries = Files.list(directory)) {
            files = entries.filter(file -> file.toString().endsWith(".conf")).sorted().collect(Collectors.toList());
        }
        StringBuilder content = new StringBuilder();
        for (Path file : files) {
            content.append(Files.readString(file));
        }
        return content.toString();
    }
}
