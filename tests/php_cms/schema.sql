-- The database of a CMS that grew since 2012: MyISAM habits, latin1 beside utf8, dates that are
-- zero, flags of three kinds, and PHP's serialize() or JSON in text columns. Times are local ones of
-- Europe/Berlin. A statement ends with a semicolon at the end of its line.
SET SESSION sql_mode = '';
SET NAMES utf8mb4;

CREATE TABLE tbl_users (
  id int(10) unsigned NOT NULL AUTO_INCREMENT,
  login varchar(64) NOT NULL DEFAULT '',
  email varchar(128) NOT NULL DEFAULT '',
  passwd varchar(255) NOT NULL DEFAULT '',
  full_name varchar(128) NOT NULL DEFAULT '',
  is_admin tinyint(1) NOT NULL DEFAULT 0,
  active enum('Y','N') NOT NULL DEFAULT 'Y',
  prefs text,
  reg_date datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  last_login datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  PRIMARY KEY (id),
  KEY email (email)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

-- Made before the move to utf8. What a botched conversion left is encoded twice.
CREATE TABLE cms_projects (
  id int(10) unsigned NOT NULL AUTO_INCREMENT,
  title varchar(100) NOT NULL DEFAULT '',
  notes text,
  owner_id int(10) unsigned NOT NULL DEFAULT 0,
  created datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  PRIMARY KEY (id)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE cms_project_users (
  project_id int(10) unsigned NOT NULL,
  user_id int(10) unsigned NOT NULL,
  access enum('read','write') NOT NULL DEFAULT 'read',
  PRIMARY KEY (project_id, user_id)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE cms_services (
  id int(10) unsigned NOT NULL AUTO_INCREMENT,
  project_id int(10) unsigned DEFAULT NULL,
  user_id int(10) unsigned NOT NULL DEFAULT 0,
  name varchar(100) NOT NULL DEFAULT '',
  descr text,
  icon varchar(64) NOT NULL DEFAULT '',
  svc_type enum('api','data','integration','utility') NOT NULL DEFAULT 'api',
  status enum('active','inactive','maintenance','cancelled') NOT NULL DEFAULT 'active',
  is_deleted tinyint(1) NOT NULL DEFAULT 0,
  endpoints text,
  depends_on text,
  config mediumtext,
  created_on datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  changed_on datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  PRIMARY KEY (id),
  KEY project_id (project_id),
  KEY user_id (user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE service_log (
  id bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  service_id int(10) unsigned NOT NULL DEFAULT 0,
  severity enum('debug','info','warning','error') NOT NULL DEFAULT 'info',
  msg text NOT NULL,
  ctx text,
  logged_at datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  PRIMARY KEY (id),
  KEY service_time (service_id, logged_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE service_stats (
  id int(10) unsigned NOT NULL AUTO_INCREMENT,
  service_id int(10) unsigned NOT NULL DEFAULT 0,
  hour_start datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  hits int(10) unsigned NOT NULL DEFAULT 0,
  errs int(10) unsigned NOT NULL DEFAULT 0,
  avg_ms float NOT NULL DEFAULT 0,
  cpu decimal(5,2) DEFAULT NULL,
  mem_mb decimal(9,2) DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY service_hour (service_id, hour_start)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

-- Nobody knows any more what it was for.
CREATE TABLE tmp_backup_2015 (
  k varchar(32) NOT NULL,
  v blob
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

-- The passwords stand in running.py. 11 has the email of 7 in other letters, 12 has none, and 13 has
-- a hash from before password_hash().
INSERT INTO tbl_users VALUES
  (1, 'admin', 'admin@cms.example', '$2y$10$F8ay1esYzXH4jD5.aMyL2uvlc.LeVlwG7Cmc6W0fzSDGGwIHLV5cC', 'Administrator', 1, 'Y', NULL, '2012-03-01 09:15:00', '2026-11-02 08:00:12'),
  (7, 'juergen', 'juergen@cms.example', '$2y$10$F8ay1esYzXH4jD5.aMyL2uvlc.LeVlwG7Cmc6W0fzSDGGwIHLV5cC', 'Jürgen Müller', 0, 'Y', 'a:2:{s:4:"lang";s:2:"de";s:8:"per_page";i:25;}', '2012-03-02 11:00:00', '2026-11-20 17:45:01'),
  (8, 'zoe', 'zoe@cms.example', '$argon2id$v=19$m=65536,t=4,p=1$bmpnWEpQVnVWNjlvQWp5bw$PngZDiWec2hDa8QAyw8hjpohYbQXy2PaE5+8XkFNM3E', 'Zoë Łukasik', 0, 'Y', '{"lang":"en"}', '2019-07-14 22:30:00', '0000-00-00 00:00:00'),
  (9, 'gone', 'gone@cms.example', '$2y$10$F8ay1esYzXH4jD5.aMyL2uvlc.LeVlwG7Cmc6W0fzSDGGwIHLV5cC', 'Left in 2016', 0, 'N', '', '0000-00-00 00:00:00', '2016-01-31 23:59:59'),
  (10, 'ilse', 'ilse@cms.example', '$argon2i$v=19$m=65536,t=4,p=1$N2lvN1VveTlVbWRsL2tzQw$gugwui2oAJyGUdMhWdK5NS+3TJj4pMQ/wCF4dqMV5tI', 'Ilse GrÃ¶ÃŸer', 0, 'Y', 'a:0:{}', '2017-05-05 05:05:05', '2017-05-06 06:06:06'),
  (11, 'juergen2', 'Juergen@CMS.example', '$2y$10$F8ay1esYzXH4jD5.aMyL2uvlc.LeVlwG7Cmc6W0fzSDGGwIHLV5cC', 'Jürgen again', 0, 'Y', NULL, '2013-01-01 00:00:00', '2013-01-01 00:00:01'),
  (12, 'cron', '', '', 'Cron job', 0, 'Y', NULL, '2012-03-01 09:15:00', '0000-00-00 00:00:00'),
  (13, 'oldest', 'oldest@cms.example', '5f4dcc3b5aa765d61d8327deb882cf99', 'From before', 0, 'Y', NULL, '2012-03-01 09:16:00', '2012-12-24 18:00:00');

INSERT INTO cms_projects VALUES
  (1, 'Shop', 'The shop, since 2012', 7, '2012-03-02 11:05:00'),
  (2, 'CafÃ© Blog', 'FÃ¼r die GÃ¤ste â€“ offen ab 8 Uhr', 7, '2014-08-09 10:11:12'),
  (3, 'Intern', 'Müllabfuhr & Heizung', 8, '0000-00-00 00:00:00');

INSERT INTO cms_project_users VALUES (1, 7, 'write'), (1, 8, 'read'), (2, 7, 'write'), (3, 8, 'write'), (3, 10, 'read');

-- 19 belongs to nobody and 20 to a project that is gone.
INSERT INTO cms_services VALUES
  (12, 1, 7, 'Orders API', 'Takes orders from the shop', 'server-outline', 'api', 'active', 0, 'a:2:{i:0;s:11:"/api/orders";i:1;s:13:"/api/invoices";}', '13,14', 'a:3:{s:4:"port";i:3000;s:5:"debug";b:0;s:5:"cache";a:2:{s:3:"ttl";d:1.5;s:5:"hosts";a:1:{i:0;s:2:"c1";}}}', '2012-03-02 12:00:00', '2021-06-30 15:20:25'),
  (13, 1, 7, 'Stock', 'How much is left', 'file-tray-full-outline', 'data', 'active', 0, '["/stock"]', '', '{"engine":"mysql","readonly":true,"path":"/var/lib/stock"}', '2012-04-01 08:30:00', '0000-00-00 00:00:00'),
  (14, 1, 7, 'Newsletter', 'Grüße an alle 😀', 'git-network-outline', 'integration', 'inactive', 0, '', '', 'a:0:{}', '2013-10-27 02:30:00', '2014-01-01 00:00:00'),
  (15, 2, 7, 'Thumbnails', NULL, 'construct-outline', 'utility', 'maintenance', 0, NULL, NULL, NULL, '2014-08-09 10:15:00', '2020-02-29 12:00:00'),
  (16, 3, 8, 'Heating', 'Reads /dev/ttyUSB0', 'server-outline', 'api', 'active', 0, 'a:1:{i:0;s:8:"/heating";}', '', '[]', '2019-07-15 09:00:00', '2026-10-01 10:00:00'),
  (17, 1, 7, 'Old basket', 'Replaced by 12', 'server-outline', 'api', 'cancelled', 1, '', '', '', '2012-03-02 12:30:00', '2015-05-05 15:15:15'),
  (18, NULL, 8, 'Scratch', '', '', 'utility', 'active', 0, '[]', '16', '{}', '2024-02-29 23:59:59', '2024-03-31 02:30:00'),
  (19, 1, 99, 'Orphan', 'Its owner was deleted', 'server-outline', 'api', 'active', 0, '', '', '', '2015-01-01 00:00:00', '0000-00-00 00:00:00'),
  (20, 98, 7, 'Adrift', 'Its project was deleted', 'server-outline', 'api', 'active', 0, 'broken', '12;13', 'a:1:{s:4:"port";i:30', '2016-06-06 06:06:06', '0000-00-00 00:00:00');

INSERT INTO service_log VALUES
  (1, 12, 'info', 'started', NULL, '2012-03-02 12:00:05'),
  (2, 12, 'error', 'Datenbank nicht erreichbar: Zeitüberschreitung', 'a:1:{s:4:"host";s:3:"db1";}', '2013-10-27 02:30:00'),
  (3, 12, 'warning', 'slow query: SELECT * FROM orders WHERE path = ''/a''', '{"ms":1234,"sql":"SELECT 1"}', '2026-11-20 10:00:00'),
  (4, 13, 'debug', 'GrÃ¼ÃŸe', '', '0000-00-00 00:00:00'),
  (5, 13, 'info', 'sync done', 'not serialized', '2024-03-31 02:30:00'),
  (6, 16, 'info', 'reading 21.5 °C', NULL, '2026-11-21 06:00:00'),
  (7, 999, 'error', 'of a service that is gone', NULL, '2016-01-01 00:00:00');

INSERT INTO service_stats VALUES
  (1, 12, '2026-11-20 09:00:00', 120, 3, 45.5, 12.50, 256.00),
  (2, 12, '2026-11-20 10:00:00', 240, 0, 41.25, 15.00, 260.50),
  (3, 13, '2026-11-20 10:00:00', 12, 1, 5, NULL, NULL),
  (4, 999, '2016-01-01 00:00:00', 1, 1, 1, NULL, NULL);

INSERT INTO tmp_backup_2015 VALUES ('x', 0xDEADBEEF00FF);
