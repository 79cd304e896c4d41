package lab.msk;

import java.util.Set;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;

/**
 * A token that lab-iam has accepted.
 *
 * @param value the token as the client sent it
 * @param principalName ARN of the assumed role's session
 * @param startTimeMs when it was verified
 * @param lifetimeMs when the session ends (epoch, milliseconds); the broker closes the connection then
 */
record VerifiedToken(String value, String principalName, Long startTimeMs, long lifetimeMs)
        implements OAuthBearerToken {

    @Override
    public Set<String> scope() {
        return Set.of();
    }
}
