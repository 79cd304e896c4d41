/* PAM module of the lab's PostgreSQL: is this password an RDS IAM token that may log in as this user?
 *
 * On RDS the same place is taken by a module that asks a local "rdsauthproxy"; here it asks lab-iam.
 * Usage in a PAM service file:  auth required <path of this module> socket=<unix socket of lab-iam>
 * Question: user NUL token NUL. Answer: "ok", or anything else for no.
 * pam_exec would not do: it hands over at most 511 bytes, and a token is longer than 1 kB.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PAM_SM_AUTH
#define PAM_SM_ACCOUNT
#include <security/pam_ext.h>
#include <security/pam_modules.h>

#define LIMIT_SECONDS 5

static const char *socket_path(int argc, const char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "socket=", 7) == 0)
            return argv[i] + 7;
    return NULL;
}

/* A connected socket, or -1. */
static int open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = LIMIT_SECONDS};

    if (path == NULL || strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *) &address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Send a string with its NUL; 0 on success. */
static int send_string(int fd, const char *text)
{
    size_t left = strlen(text) + 1;

    while (left > 0) {
        ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        text += sent;
        left -= (size_t) sent;
    }
    return 0;
}

static int answer_is_ok(int fd)
{
    char answer[2];
    size_t got = 0;

    while (got < sizeof answer) {
        ssize_t n = read(fd, answer + got, sizeof answer - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        got += (size_t) n;
    }
    return memcmp(answer, "ok", sizeof answer) == 0;
}

PAM_EXTERN int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    const char *user = NULL, *token = NULL;

    (void) flags;
    if (pam_get_user(pamh, &user, NULL) != PAM_SUCCESS || user == NULL)
        return PAM_USER_UNKNOWN;
    if (pam_get_authtok(pamh, PAM_AUTHTOK, &token, NULL) != PAM_SUCCESS || token == NULL)
        return PAM_AUTH_ERR;
    int fd = open_socket(socket_path(argc, argv));
    if (fd < 0)
        return PAM_AUTHINFO_UNAVAIL;
    int ok = send_string(fd, user) == 0 && send_string(fd, token) == 0 && answer_is_ok(fd);
    close(fd);
    /* PostgreSQL's log then says "pam_authenticate failed: Permission denied", as on RDS. */
    return ok ? PAM_SUCCESS : PAM_PERM_DENIED;
}

PAM_EXTERN int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    (void) pamh, (void) flags, (void) argc, (void) argv;
    return PAM_SUCCESS;
}

PAM_EXTERN int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    (void) pamh, (void) flags, (void) argc, (void) argv;
    return PAM_SUCCESS;
}
