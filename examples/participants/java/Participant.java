import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * A participant in Java (17): seats that are reserved, and given back when a saga turns back.
 *
 * <p>{@code AMENDS_SECRET_SEATS=whsec_… java Participant.java PORT FILE}
 *
 * <p>The JDK alone. The file stands for your database: it holds the barrier's rows and the reservations, and is replaced
 * whole, so that both are there or neither.
 */
public class Participant {
    static final int SEATS = 10;
    /** {@code <saga>/<step>/<action|compensation>[/<round>]}: an action and its undo share what stands around the word. */
    static final Pattern KEY = Pattern.compile("(.+)/(action|compensation)(/\\d+)?");
    /** Any JSON library does this better. */
    static final Pattern WANTED = Pattern.compile("\\{\\s*\"seats\"\\s*:\\s*(\\d{1,9})\\s*}");

    record Answer(int code, String body) {}

    /** One call; its status is {@code acted}, {@code refused} or {@code undone}. */
    record Row(String status, String hash, int seats, Answer answer) {}

    static final Map<String, Row> rows = new TreeMap<>();
    static Path file;
    static SecretKeySpec secret;

    public static void main(String[] arguments) throws Exception {
        file = Path.of(arguments[1]).toAbsolutePath();
        String encoded = System.getenv("AMENDS_SECRET_SEATS").replaceFirst("^whsec_", "");
        secret = new SecretKeySpec(Base64.getDecoder().decode(encoded), "HmacSHA256");
        load();
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.createContext("/", Participant::handle);
        server.start();
    }

    /** The action: the same key gets the first answer, and one that was undone is never carried out. */
    static synchronized Answer act(String call, byte[] body) throws Exception {
        String hash = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
        Row known = rows.get(call);
        if (known == null) {
            return store(call, reserve(hash, new String(body, StandardCharsets.UTF_8)));
        }
        if (known.status.equals("undone")) {
            return refused(409, "undone", "this call was undone before it came");
        }
        if (!known.hash.equals(hash)) {
            return refused(409, "payload_conflict", "this key was used for something else");
        }
        return known.answer;
    }

    /** The compensation: takes back what is there, succeeds when there is nothing, and blocks the action. */
    static synchronized Answer undo(String call) throws IOException {
        return store(call, new Row("undone", "", 0, new Answer(200, "null")));
    }

    static Row reserve(String hash, String body) {
        var wanted = WANTED.matcher(body.strip());
        if (!wanted.matches()) {
            return new Row("refused", hash, 0, refused(422, "not_understood", "expected a number of seats"));
        }
        int seats = Integer.parseInt(wanted.group(1));
        if (seats > left()) {
            String detail = left() + " seats are left, " + seats + " were wanted";
            return new Row("refused", hash, 0, refused(422, "sold_out", detail));
        }
        return new Row("acted", hash, seats, new Answer(200, "{\"reserved\":" + seats + "}"));
    }

    static synchronized int left() {
        return SEATS - rows.values().stream().mapToInt(Row::seats).sum();
    }

    /** No, for good: nothing took place. */
    static Answer refused(int status, String code, String detail) {
        return new Answer(status, "{\"code\":\"" + code + "\",\"detail\":\"" + detail + "\"}");
    }

    /** Stores a row and gives its answer. What cannot be stored has not happened: 500 makes the same call come again. */
    static Answer store(String call, Row row) throws IOException {
        List<String> lines = new ArrayList<>();
        Map<String, Row> next = new TreeMap<>(rows);
        next.put(call, row);
        next.forEach((key, one) -> lines.add(String.join("\t", key, one.status, one.hash,
                String.valueOf(one.seats), String.valueOf(one.answer.code), one.answer.body)));
        Path written = file.resolveSibling(file.getFileName() + ".next");
        Files.write(written, lines);
        flush(written, StandardOpenOption.WRITE);
        Files.move(written, file, StandardCopyOption.ATOMIC_MOVE);
        flush(file.getParent(), StandardOpenOption.READ);
        rows.put(call, row);
        return row.answer;
    }

    static void flush(Path path, StandardOpenOption how) throws IOException {
        try (FileChannel channel = FileChannel.open(path, how)) {
            channel.force(true);
        }
    }

    static void load() throws IOException {
        for (String line : Files.exists(file) ? Files.readAllLines(file) : List.<String>of()) {
            String[] parts = line.split("\t", 6);
            Answer answer = new Answer(Integer.parseInt(parts[4]), parts[5]);
            rows.put(parts[0], new Row(parts[1], parts[2], Integer.parseInt(parts[3]), answer));
        }
    }

    /** Standard Webhooks: an HMAC over id, time and body; while a secret is replaced there are two of them. */
    static boolean isSigned(Headers headers, byte[] body) throws Exception {
        String sentAt = headers.getFirst("webhook-timestamp");
        String given = headers.getFirst("webhook-signature");
        if (sentAt == null || given == null || !sentAt.matches("\\d{1,12}")) {
            return false;
        }
        if (Math.abs(Instant.now().getEpochSecond() - Long.parseLong(sentAt)) > 300) {
            return false;
        }
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(secret);
        mac.update((headers.getFirst("webhook-id") + "." + sentAt + ".").getBytes(StandardCharsets.UTF_8));
        byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes();
        for (String one : given.split(" ")) {
            if (MessageDigest.isEqual(expected, one.getBytes())) {
                return true;
            }
        }
        return false;
    }

    static Answer answer(HttpExchange exchange) throws Exception {
        if (exchange.getRequestMethod().equals("GET")) {
            return new Answer(200, "{\"left\":" + left() + "}");
        }
        byte[] body = exchange.getRequestBody().readAllBytes();
        if (!isSigned(exchange.getRequestHeaders(), body)) {
            return refused(401, "unsigned", "no valid webhook-signature");
        }
        String given = exchange.getRequestHeaders().getFirst("Idempotency-Key");
        var key = KEY.matcher(given == null ? "" : given);
        if (key.matches()) {
            String call = key.group(1) + (key.group(3) == null ? "" : key.group(3));
            String operation = exchange.getRequestURI().getPath() + " " + key.group(2);
            if (operation.equals("/reservations action")) {
                return act(call, body);
            }
            if (operation.equals("/reservations/cancel compensation")) {
                return undo(call);
            }
        }
        return new Answer(404, "{\"detail\":\"no such call, or a key of the other direction\"}");
    }

    static void handle(HttpExchange exchange) throws IOException {
        Answer answer;
        try {
            answer = answer(exchange);
        } catch (Exception error) {
            error.printStackTrace();
            answer = new Answer(500, "{\"detail\":\"it is not known what happened: ask again\"}");
        }
        byte[] body = answer.body.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(answer.code, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
