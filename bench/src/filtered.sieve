require ["fileinto", "imap4flags", "mailbox", "envelope", "copy"];

# 1: what the gateway marked
if header :is "X-Spam-Flag" "YES" {
    fileinto :create "Junk";
    stop;
}
# 2 to 4: mailing lists
if header :contains "List-Id" "list1.example.org" {
    fileinto :create "Lists/One";
    stop;
}
if header :contains "List-Id" ["list2.example.org", "list3.example.org"] {
    fileinto :create "Lists/More";
    stop;
}
if allof (exists "List-Id", not header :contains "Subject" ["urgent", "deadline"]) {
    addflag "\\Seen";
    fileinto :create "Lists/Rest";
    stop;
}
# 5: people who matter
if address :is "From" ["sender1@example.org", "sender7@example.org", "sender42@example.org", "sender99@example.org"] {
    addflag "\\Flagged";
    keep;
    stop;
}
# 6: bounces
if envelope :is "from" "" {
    fileinto :create "Bounces";
    stop;
}
# 7 to 11: what it is about
if header :contains "Subject" ["invoice", "budget", "contract"] {
    fileinto :create "Money";
    stop;
}
if header :contains "Subject" ["meeting", "agenda", "minutes", "schedule"] {
    addflag ["$Meeting"];
    fileinto :create "Meetings";
    stop;
}
if anyof (header :matches "Subject" "*ticket*", header :matches "Subject" "*release *") {
    fileinto :create "Work/Tickets";
    stop;
}
if allof (address :domain "From" "example.org", header :contains "Subject" ["project", "milestone", "proposal"]) {
    fileinto :create "Work/Projects";
    stop;
}
if header :contains "Subject" "review" {
    fileinto :copy :create "Work/Reviews";
}
# 12 to 14: how it comes
if header :contains "Content-Type" "multipart/mixed" {
    addflag "$HasAttachment";
}
if size :over 500K {
    fileinto :create "Large";
    stop;
}
if not address :contains ["To", "Cc"] "@example.com" {
    fileinto :create "Others";
    stop;
}
# 15 and 16: answers and machines
if header :matches "Subject" ["Re: Re: *", "RE: *"] {
    addflag "$Conversation";
}
if header :is "Precedence" ["bulk", "junk"] {
    addflag "\\Seen";
}
