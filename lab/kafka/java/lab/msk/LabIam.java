package lab.msk;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.util.Map;

/**
 * Client of the lab's IAM service, which alone decides; the broker enforces.
 *
 * <p>Whoever calls must treat an {@link IOException} as a refusal: IAM fails closed.
 */
final class LabIam {

    /** {@code authorize()} runs on the broker's request threads, so a hanging service stalls every client this long. */
    private static final int TIMEOUT_MILLIS = 2_000;

    private static final ObjectMapper JSON = new ObjectMapper();

    private final String url;

    private final String clusterArn;

    /** Reads {@code lab.iam.url} and {@code lab.iam.cluster.arn} of the broker's configuration. */
    LabIam(Map<String, ?> configuration) {
        url = String.valueOf(configuration.get("lab.iam.url"));
        clusterArn = String.valueOf(configuration.get("lab.iam.cluster.arn"));
    }

    /** {@code arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/UUID}. */
    String clusterArn() {
        return clusterArn;
    }

    JsonNode post(String path, Object body) throws IOException {
        byte[] content = JSON.writeValueAsBytes(body);
        HttpURLConnection connection = (HttpURLConnection) URI.create(url + path).toURL().openConnection();
        connection.setConnectTimeout(TIMEOUT_MILLIS);
        connection.setReadTimeout(TIMEOUT_MILLIS);
        connection.setRequestProperty("Content-Type", "application/json");
        connection.setDoOutput(true);
        connection.setFixedLengthStreamingMode(content.length);
        try (OutputStream output = connection.getOutputStream()) {
            output.write(content);
        }
        try (InputStream input = connection.getInputStream()) {
            return JSON.readTree(input);
        }
    }
}
