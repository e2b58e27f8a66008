<?php
require 'inc/common.php';

if (isset($_POST['login'])) {
    $q = query("SELECT * FROM tbl_users WHERE (login = ? OR email = ?) AND active = 'Y' ORDER BY id LIMIT 1",
        array($_POST['login'], $_POST['login']));
    $user = $q->fetch(PDO::FETCH_ASSOC);
    if ($user && password_verify($_POST['password'], $user['passwd'])) {
        session_regenerate_id(true);
        $_SESSION['user'] = array(
            'id' => (int) $user['id'],
            'name' => $user['full_name'],
            'admin' => (bool) $user['is_admin'],
        );
        $_SESSION['since'] = microtime(true);
        $_SESSION['client'] = $_SERVER['REMOTE_ADDR'] . '|' . @$_SERVER['HTTP_USER_AGENT'];
        $_SESSION['basket'] = new Basket;
        $_SESSION['basket']->add('Käse; "mild"', 4.99);
        $_SESSION['filters'] = array('project' => null, 'sort' => array('name', 'asc'), 7 => array(1.5, -3, INF));
        $_SESSION['last_filters'] = &$_SESSION['filters'];
        query('UPDATE tbl_users SET last_login = ? WHERE id = ?', array(date('Y-m-d H:i:s'), $user['id']));
        header('Location: whoami.php');
        exit;
    }
    $wrong = true;
}
?>
<html><head><title>Login</title></head><body>
<?php if (isset($wrong)) echo '<p class="error">Wrong login or password</p>'; ?>
<form method="post"><input name="login"><input name="password" type="password"><input type="submit"></form>
</body></html>
