package lab.msk;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.errors.SaslAuthenticationException;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Server side of MSK's IAM login over OAUTHBEARER.
 *
 * <p>The bearer token is a base64url text: a presigned {@code kafka-cluster:Connect} URL, as AWS's signers make it.
 */
public final class MskIamCallbackHandler implements AuthenticateCallbackHandler {

    private static final Logger LOG = LoggerFactory.getLogger(MskIamCallbackHandler.class);

    private static final String ACCESS_DENIED = "Access denied";

    private LabIam iam;

    @Override
    public void configure(Map<String, ?> configuration, String mechanism, List<AppConfigurationEntry> entries) {
        iam = new LabIam(configuration);
    }

    @Override
    public void handle(Callback[] callbacks) throws UnsupportedCallbackException {
        for (Callback callback : callbacks) {
            if (callback instanceof OAuthBearerValidatorCallback validator) {
                validator.token(verify(validator.tokenValue()));
            } else {
                // SASL extensions: Kafka ignores them when the handler does not know them.
                throw new UnsupportedCallbackException(callback);
            }
        }
    }

    private OAuthBearerToken verify(String token) {
        JsonNode answer;
        try {
            String url = new String(Base64.getUrlDecoder().decode(token), StandardCharsets.UTF_8);
            answer = iam.post("/verify", Map.of("kind", "msk", "url", url, "cluster", iam.clusterArn()));
        } catch (IllegalArgumentException notBase64) {
            throw refused(ACCESS_DENIED, "the token is not base64url");
        } catch (IOException unreachable) {
            throw refused(ACCESS_DENIED, "no answer from lab-iam: " + unreachable);
        }
        if (!answer.path("allowed").asBoolean(false)) {
            throw refused(answer.path("message").asText(ACCESS_DENIED), answer.path("reason").asText());
        }
        return new VerifiedToken(
                token,
                answer.path("principal").asText(),
                System.currentTimeMillis(),
                answer.path("expires").asLong());
    }

    /**
     * What the client sees: error 58 with MSK's text.
     *
     * <p>It must be thrown. {@code OAuthBearerValidatorCallback.error()} would send a JSON challenge with error code 0,
     * which aiokafka takes for a successful login. The reason stays in the broker's log beside the id, as on MSK.
     */
    private static SaslAuthenticationException refused(String message, String reason) {
        String id = UUID.randomUUID().toString();
        LOG.warn("[{}]: {} ({})", id, message, reason);
        return new SaslAuthenticationException("[" + id + "]: " + message);
    }

    @Override
    public void close() {}
}
